/* SPDX-License-Identifier: Apache-2.0 */
/* What firmware for a real-time core needs: start, serial line, SysTick and mailbox (docs/reference/real-time.md).
   Include it once; the firmware has core_main() and, where it starts SysTick, core_tick(). */
#ifndef ARMILLARY_CORE_H
#define ARMILLARY_CORE_H

#include <stddef.h>
#include <stdint.h>

#define CORE_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define CORE_UART_THR CORE_REGISTER(0x21040000)
#define CORE_UART_LSR CORE_REGISTER(0x21040014)
#define CORE_RX_SIZE CORE_REGISTER(0x50000000)
#define CORE_RX_DATA CORE_REGISTER(0x50000004)
#define CORE_RX_DONE CORE_REGISTER(0x50000008)
#define CORE_TX_ROOM CORE_REGISTER(0x50000010)
#define CORE_TX_DATA CORE_REGISTER(0x50000014)
#define CORE_TX_SEND CORE_REGISTER(0x50000018)
#define CORE_TX_RESULT CORE_REGISTER(0x5000001C)
#define CORE_SYST_CSR CORE_REGISTER(0xE000E010)
#define CORE_SYST_RVR CORE_REGISTER(0xE000E014)
#define CORE_SYST_CVR CORE_REGISTER(0xE000E018)
#define CORE_SYST_CALIB CORE_REGISTER(0xE000E01C)
#define CORE_CLOCK_HZ 200000000u /* where SysTick has no reference clock */

#define CORE_ID_BYTES 16u
#define CORE_MESSAGE_LIMIT 1024u
#define CORE_IN_PROGRESS 115u /* EINPROGRESS: the device has not answered yet */

void core_main(void);
__attribute__((weak)) void core_tick(void); /* firmware that starts no tick has none */

static inline void core_wait(void) { __asm__ volatile("wfi" ::: "memory"); }

static inline void core_put(char character)
{
    while (!(CORE_UART_LSR & 0x20u)) {
    }
    CORE_UART_THR = (uint32_t)(unsigned char)character;
}

static inline void core_print(const char *line)
{
    while (*line) core_put(*line++);
    core_put('\n');
}

/* SysTick calls core_tick() so often; at least 12 times a second, its counter has 24 bits. It counts the reference clock
   where SYST_CALIB says that there is one (as ticks in 10 ms), else the processor's. */
static inline void core_start_tick(uint32_t per_second)
{
    uint32_t calibration = CORE_SYST_CALIB, in_10_ms = calibration & 0xFFFFFFu;
    uint32_t has_reference = !(calibration & 0x80000000u) && in_10_ms;
    CORE_SYST_RVR = (has_reference ? (in_10_ms + 1u) * 100u : CORE_CLOCK_HZ) / per_second - 1u;
    CORE_SYST_CVR = 0;
    CORE_SYST_CSR = has_reference ? 3u : 7u;
}

/* Takes a waiting message: its sender's component id, then its content; returns the size of the content.
   0 when none waits; what does not fit into the room is dropped. */
static inline size_t core_receive(uint8_t sender[CORE_ID_BYTES], uint8_t *content, size_t room)
{
    size_t size = CORE_RX_SIZE, place = 0;
    if (size <= CORE_ID_BYTES) return 0;
    while (place < size) {
        uint32_t word = CORE_RX_DATA;
        for (size_t each = 0; each < 4 && place < size; each++, place++) {
            uint8_t byte = (uint8_t)(word >> (8 * each));
            if (place < CORE_ID_BYTES) sender[place] = byte;
            else if (place - CORE_ID_BYTES < room) content[place - CORE_ID_BYTES] = byte;
        }
    }
    size -= CORE_ID_BYTES;
    return size < room ? size : room;
}

/* Sends a message; CORE_TX_RESULT says later what became of it. Returns 0 or Linux's error number. */
static inline uint32_t core_send(const uint8_t receiver[CORE_ID_BYTES], const uint8_t *content, size_t size)
{
    size_t place = 0, whole = CORE_ID_BYTES + size;
    while (place < whole) {
        uint32_t word = 0;
        for (size_t each = 0; each < 4 && place < whole; each++, place++) {
            uint8_t byte = place < CORE_ID_BYTES ? receiver[place] : content[place - CORE_ID_BYTES];
            word |= (uint32_t)byte << (8 * each);
        }
        CORE_TX_DATA = word;
    }
    CORE_TX_SEND = (uint32_t)whole;
    uint32_t result = CORE_TX_RESULT;
    return result == CORE_IN_PROGRESS ? 0 : result;
}

/* The start: memory as C expects it, then core_main(). */
extern uint32_t core_stack, core_data_from, core_data_begin, core_data_end, core_bss_begin, core_bss_end;

__attribute__((noreturn, used)) static void core_reset(void)
{
    const uint32_t *from = &core_data_from;
    for (uint32_t *to = &core_data_begin; to < &core_data_end;) *to++ = *from++;
    for (uint32_t *to = &core_bss_begin; to < &core_bss_end;) *to++ = 0;
    core_main();
    for (;;) core_wait();
}

__attribute__((used)) static void core_halt(void)
{
    for (;;) {
    }
}

__attribute__((section(".vectors"), used, aligned(128))) const void *const core_vectors[16] = {
    &core_stack, core_reset, core_halt, core_halt, core_halt, core_halt, core_halt, 0,
    0,           0,          0,         core_halt, core_halt, 0,         core_halt, core_tick,
};

#endif
