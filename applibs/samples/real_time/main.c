/* SPDX-License-Identifier: Apache-2.0 */
/* A real-time application: counts its timer, and answers each message with that message in capitals.
   Build: arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -O2 -ffreestanding -nostdlib -Wl,--build-id
          -T applibs/real_time/core.ld -I applibs/real_time applibs/samples/real_time/main.c -lgcc -o app */
#include "armillary_core.h"

static volatile uint32_t ticks;
static uint8_t content[CORE_MESSAGE_LIMIT];

void core_tick(void) { ticks++; }

void core_main(void)
{
    uint8_t sender[CORE_ID_BYTES];
    core_start_tick(100);
    core_print("pulse: started");
    while (ticks < 3) core_wait();
    core_print("pulse: the timer ticks");
    for (;;) {
        size_t size = core_receive(sender, content, sizeof content);
        if (!size) {
            core_wait();
            continue;
        }
        for (size_t each = 0; each < size; each++)
            if (content[each] >= 'a' && content[each] <= 'z') content[each] = (uint8_t)(content[each] - 'a' + 'A');
        if (core_send(sender, content, size)) core_print("pulse: the answer was refused");
    }
}
