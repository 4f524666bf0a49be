/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board under one application's firmware, on the Cortex-M4 that QEMU has (machine mps2-an386): a stand-in for a chip.
 *
 * It gives firmware the registers of docs/reference/real-time.md, which that machine does not have. The memory
 * protection unit leaves firmware its own memory alone; an access to a register of the board faults, and is done here.
 * Every other fault ends the core: it is told to the host, and the core stands still. The host puts the firmware into
 * the memory, writes its vector table's address into board_entries, and points the table's exceptions here: all but
 * SysTick, which firmware has to itself.
 *
 * Frames of wire/device/core_channel.py go to the host over a serial line (CMSDK UART 0), and come through a ring in
 * memory that the host shares (a serial line of this machine takes a byte at a time, each of which waits for the host).
 * The ring is looked at when firmware looks at its mailbox, and 100 times a second by the watchdog's NMI, which also
 * ends a wfi.
 *
 * Nothing here guards the host: firmware is privileged and could talk to the serial line itself. The host checks.
 *
 * Specification: Armv7-M ARM (B1.5 exceptions, B3.2 system control, B3.5 MPU, A5 Thumb encodings);
 * Arm AN386 and the CMSDK reference for UART and watchdog.
 */
#include <stddef.h>
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define UART_DATA REGISTER(0x40004000)
#define UART_STATE REGISTER(0x40004004)
#define UART_CTRL REGISTER(0x40004008)
#define UART_BAUDDIV REGISTER(0x40004010)
#define WATCHDOG_LOAD REGISTER(0x40008000)
#define WATCHDOG_CONTROL REGISTER(0x40008008)
#define WATCHDOG_CLEAR REGISTER(0x4000800C)
#define VTOR REGISTER(0xE000ED08)
#define CFSR REGISTER(0xE000ED28)
#define HFSR REGISTER(0xE000ED2C)
#define MMFAR REGISTER(0xE000ED34)
#define BFAR REGISTER(0xE000ED38)
#define MPU_CTRL REGISTER(0xE000ED94)
#define MPU_RBAR REGISTER(0xE000ED9C)
#define MPU_RASR REGISTER(0xE000EDA0)

enum { TX_FULL = 1, TX = 1 };
/* The ring, in the memory of 16 MiB at 0x21000000: where the host will write next, where we read next, the bytes. */
#define RING_WRITTEN REGISTER(0x21000000)
#define RING_READ REGISTER(0x21000004)
#define RING_BYTES ((volatile const uint8_t *)(uintptr_t)0x21000040)
enum { RING_SIZE = 0x10000 };
enum { HARD_FAULT = 3, ACCESS_FAULT_WITH_ADDRESS = 0x82 };
/* Bytes of the TCM, 192 KiB: a region of 256 KiB without the last two of its eight parts. Read, write, execute. */
enum { NORMAL_MEMORY = 1 << 17, TCM = 0x00100000, TCM_REGION = 3 << 24 | NORMAL_MEMORY | 0xC0 << 8 | 17 << 1 | 1 };
/* This program, 64 KiB, to read and execute: handlers run under the MPU but for HardFault and NMI. */
enum { BOARD = 0x00200000, BOARD_BYTES = 0x10000, BOARD_REGION = 5 << 24 | NORMAL_MEMORY | 15 << 1 | 1 };
enum { LOOKS_PER_SECOND = 100, CLOCK_HZ = 25000000 };

/* The board's registers, as firmware sees them. */
enum { SERIAL = 0x21040, MAILBOX = 0x50000 }; /* pages */
enum { THR = 0x00, LSR = 0x14, ALWAYS_READY = 0x60 };
enum { RX_SIZE = 0x00, RX_DATA = 0x04, RX_DONE = 0x08, TX_ROOM = 0x10, TX_DATA = 0x14, TX_SEND = 0x18, TX_RESULT = 0x1C };
enum { ID_BYTES = 16, MESSAGE_LIMIT = ID_BYTES + 1024, QUEUE_LIMIT = 8 };
enum { AGAIN = 11, INVALID = 22, TOO_LARGE = 90, IN_PROGRESS = 115 }; /* Linux's error numbers */

/* Frames: SLIP (RFC 1055); the first byte says what it is. */
enum { END = 0xC0, ESCAPE = 0xDB, ESCAPED_END = 0xDC, ESCAPED_ESCAPE = 0xDD };
enum { MAIL = 0x03, RESULT = 0x04, OUTPUT = 0x83, SEND = 0x84, TAKEN = 0x85, FAULT = 0x87 };

extern uint32_t board_stack;
void board_start(void);
void board_nmi(void);
void board_fault(void);
void board_other(void);

/* The first words of the program. The host writes the first one, the address of the firmware's vector table, and puts
   the others into that table. */
__attribute__((section(".entries"), used)) const volatile struct {
    uint32_t vectors;
    const void *nmi, *fault, *other;
} board_entries = {0, board_nmi, board_fault, board_other};
__attribute__((section(".start"), used)) const void *const board_table[4] = {&board_stack, board_start, board_nmi,
                                                                           board_fault};

static int started, works;               /* works: a fault is at work, the NMI leaves the ring to it */
static uint8_t got[1 + MESSAGE_LIMIT];   /* the frame that comes */
static size_t got_bytes;
static int is_escaped;
static struct { size_t bytes; uint8_t content[MESSAGE_LIMIT]; } waiting[QUEUE_LIMIT];
static unsigned first, count;            /* of the messages that wait for the firmware */
static size_t taken;                     /* bytes of the first one that it has read */
static uint8_t written[MESSAGE_LIMIT + 4];
static size_t written_bytes;
static unsigned under_way;               /* messages without an answer */
static uint32_t result;

static void put(uint8_t byte)
{
    while (UART_STATE & TX_FULL) {
    }
    UART_DATA = byte;
}

static void put_escaped(uint8_t byte)
{
    if (byte == END || byte == ESCAPE) {
        put(ESCAPE);
        byte = byte == END ? ESCAPED_END : ESCAPED_ESCAPE;
    }
    put(byte);
}

static void tell(uint8_t kind, const void *body, size_t size)
{
    const uint8_t *bytes = body;
    put(kind);
    for (size_t each = 0; each < size; each++) put_escaped(bytes[each]);
    put(END);
}

static void heard(void)
{
    if (got_bytes > 1 && got[0] == MAIL && count < QUEUE_LIMIT) {
        unsigned place = (first + count++) % QUEUE_LIMIT;
        waiting[place].bytes = got_bytes - 1;
        for (size_t each = 1; each < got_bytes; each++) waiting[place].content[each - 1] = got[each];
    } else if (got_bytes == 5 && got[0] == RESULT) {
        result = got[1] | (uint32_t)got[2] << 8 | (uint32_t)got[3] << 16 | (uint32_t)got[4] << 24;
        if (under_way) under_way--;
    }
    got_bytes = 0;
}

static void look_at_ring(void)
{
    uint32_t place = RING_READ % RING_SIZE;
    while (place != RING_WRITTEN % RING_SIZE) {
        uint8_t byte = RING_BYTES[place];
        place = (place + 1) % RING_SIZE;
        RING_READ = place;
        if (byte == END) {
            heard();
            continue;
        }
        if (byte == ESCAPE) {
            is_escaped = 1;
            continue;
        }
        if (is_escaped) byte = byte == ESCAPED_END ? END : ESCAPE;
        is_escaped = 0;
        if (got_bytes < sizeof got) got[got_bytes++] = byte;
    }
}

static void drop_first(void)
{
    taken = 0;
    if (!count) return;
    first = (first + 1) % QUEUE_LIMIT;
    count--;
    tell(TAKEN, NULL, 0);
}

static uint32_t take_word(void)
{
    uint32_t word = 0;
    if (!count) return 0;
    for (size_t each = 0; each < 4 && taken < waiting[first].bytes; each++, taken++)
        word |= (uint32_t)waiting[first].content[taken] << (8 * each);
    if (taken >= waiting[first].bytes) drop_first();
    return word;
}

static uint32_t send(uint32_t size)
{
    size_t there = written_bytes;
    written_bytes = 0;
    if (size > MESSAGE_LIMIT) return TOO_LARGE;
    if (size <= ID_BYTES || size > there) return INVALID;
    if (under_way >= QUEUE_LIMIT) return AGAIN;
    under_way++;
    tell(SEND, written, size);
    return IN_PROGRESS;
}

/* A register's value; 0 where there is none. */
static int read_register(uint32_t page, uint32_t offset, uint32_t *value)
{
    if (page == SERIAL && offset == LSR) *value = ALWAYS_READY;
    else if (page == MAILBOX && offset == RX_SIZE) *value = count ? (uint32_t)waiting[first].bytes : 0;
    else if (page == MAILBOX && offset == RX_DATA) *value = take_word();
    else if (page == MAILBOX && offset == TX_ROOM) *value = QUEUE_LIMIT - under_way;
    else if (page == MAILBOX && offset == TX_RESULT) *value = result;
    else return 0;
    return 1;
}

static int write_register(uint32_t page, uint32_t offset, uint32_t value)
{
    uint8_t character = (uint8_t)value;
    if (page == SERIAL && offset == THR) tell(OUTPUT, &character, 1);
    else if (page == MAILBOX && offset == RX_DONE) drop_first();
    else if (page == MAILBOX && offset == TX_SEND) result = send(value);
    else if (page == MAILBOX && offset == TX_DATA) {
        for (size_t each = 0; each < 4 && written_bytes < sizeof written; each++, value >>= 8)
            written[written_bytes++] = (uint8_t)value;
    } else return 0;
    return 1;
}

/* A load or store, as far as a register of the board is used by one. */
struct access {
    unsigned bytes, instruction_bytes, target, base;
    int is_load, is_signed, change; /* change: what is added to the base register afterwards */
};

static int decode_short(uint32_t code, struct access *found)
{
    static const struct { uint8_t bytes, is_load, is_signed; } BY_REGISTER[8] = {
        {4, 0, 0}, {2, 0, 0}, {1, 0, 0}, {1, 1, 1}, {4, 1, 0}, {2, 1, 0}, {1, 1, 0}, {2, 1, 1}};
    static const uint8_t BYTES[3] = {4, 1, 2};
    found->instruction_bytes = 2;
    found->target = code & 7;
    if (code >> 12 == 5) {
        found->bytes = BY_REGISTER[code >> 9 & 7].bytes;
        found->is_load = BY_REGISTER[code >> 9 & 7].is_load;
        found->is_signed = BY_REGISTER[code >> 9 & 7].is_signed;
        return 1;
    }
    if (code >> 12 < 6 || code >> 12 > 8) return 0;
    found->bytes = BYTES[(code >> 12) - 6];
    found->is_load = code >> 11 & 1;
    return 1;
}

static int decode_long(uint32_t code, uint32_t more, struct access *found)
{
    int amount = (int)(more & 0xFF);
    if (code >> 9 != 0x7C || (code >> 5 & 3) == 3) return 0;
    found->instruction_bytes = 4;
    found->bytes = 1u << (code >> 5 & 3);
    found->is_load = code >> 4 & 1;
    found->is_signed = code >> 8 & 1;
    found->target = more >> 12;
    found->base = code & 15;
    if (!(code & 0x80) && (more & 0x900) == 0x900) found->change = more & 0x200 ? amount : -amount;
    return 1;
}

/* A general register of the firmware as it was; NULL for the stack pointer and the program counter. */
static uint32_t *register_of(unsigned number, uint32_t *frame, uint32_t *high)
{
    if (number < 4) return frame + number;
    if (number < 12) return high + number - 4;
    return number == 12 ? frame + 4 : number == 14 ? frame + 5 : NULL;
}

static int do_access(uint32_t address, uint32_t *frame, uint32_t *high)
{
    const uint16_t *code = (const uint16_t *)(uintptr_t)frame[6];
    struct access asked = {.base = 15};
    if (!(code[0] >> 11 >= 0x1D ? decode_long(code[0], code[1], &asked) : decode_short(code[0], &asked))) return 0;
    uint32_t *target = register_of(asked.target, frame, high), *base = register_of(asked.base, frame, high);
    uint32_t page = address >> 12, offset = address & 0xFFF, part = 8 * (address & 3), value;
    if (!target || (asked.change && !base)) return 0;
    if (asked.is_load) {
        if (!read_register(page, offset & ~3u, &value)) return 0;
        value >>= part;
        if (asked.bytes < 4) value &= (1u << 8 * asked.bytes) - 1;
        if (asked.is_signed && value >> (8 * asked.bytes - 1)) value |= ~0u << 8 * asked.bytes;
        *target = value;
    } else {
        value = asked.bytes < 4 ? *target & ((1u << 8 * asked.bytes) - 1) : *target;
        if (offset & 3 || !write_register(page, offset, value)) return 0;
    }
    if (asked.change) *base += (uint32_t)asked.change;
    frame[6] += asked.instruction_bytes;
    return 1;
}

/* An instruction that is done here takes its place in an IT block with it. */
static void advance_it(uint32_t *frame)
{
    uint32_t state = (frame[7] >> 25 & 3) | (frame[7] >> 8 & 0xFC);
    state = state & 7 ? (state & 0xE0) | (state << 1 & 0x1F) : 0;
    frame[7] = (frame[7] & ~0x0600FC00u) | (state & 3) << 25 | (state & 0xFC) << 8;
}

__attribute__((noreturn)) static void end_core(uint32_t exception, const uint32_t *frame)
{
    uint32_t why = CFSR;
    uint32_t address = why & 0x80 ? MMFAR : why & 0x8000 ? BFAR : 0;
    uint32_t told[8] = {exception, why, HFSR, why & 0x8080 ? 1 : 0, address, frame[6], frame[5], (uint32_t)(frame + 8)};
    put(END);
    tell(FAULT, told, sizeof told);
    for (;;) __asm__ volatile("wfi");
}

/* A HardFault, which every fault becomes. */
__attribute__((used)) static void on_fault(uint32_t *frame, uint32_t *high)
{
    works = 1;
    if (frame[6] - BOARD < BOARD_BYTES) { /* board_other: what was interrupted is the frame before */
        end_core(frame[7] & 0x1FF, frame + 8 + (frame[7] >> 9 & 1));
    }
    look_at_ring();
    if ((CFSR & 0xFFFF) != ACCESS_FAULT_WITH_ADDRESS || CFSR >> 16 || !do_access(MMFAR, frame, high))
        end_core(HARD_FAULT, frame);
    advance_it(frame);
    CFSR = CFSR;
    HFSR = HFSR;
    works = 0;
}

/* The watchdog's: the ring is looked at. The first one starts the firmware; returns where its frame is. */
__attribute__((used)) static uint32_t *on_nmi(uint32_t *frame)
{
    WATCHDOG_CLEAR = 1;
    if (started) {
        if (!works) look_at_ring();
        return frame;
    }
    const uint32_t *table = (const uint32_t *)(uintptr_t)board_entries.vectors;
    uint32_t *fresh = (uint32_t *)(uintptr_t)table[0] - 8;
    for (unsigned each = 0; each < 5; each++) fresh[each] = 0;
    fresh[5] = 0xFFFFFFFF;
    fresh[6] = table[1] & ~1u;
    fresh[7] = 1u << 24;
    VTOR = board_entries.vectors;
    MPU_RBAR = TCM | 0x10;
    MPU_RASR = TCM_REGION;
    MPU_RBAR = BOARD | 0x11;
    MPU_RASR = BOARD_REGION;
    MPU_CTRL = 1;
    started = 1;
    return fresh;
}

__attribute__((used)) void board_start(void)
{
    UART_BAUDDIV = 16;
    UART_CTRL = TX;
    WATCHDOG_LOAD = CLOCK_HZ / LOOKS_PER_SECOND;
    WATCHDOG_CONTROL = 1;
    for (;;) __asm__ volatile("wfi");
}

__attribute__((naked)) void board_nmi(void)
{
    __asm__ volatile("mrs r0, msp\n"
                     "ldr r1, =board_stack - 4096\n" /* its own: it interrupts the other one */
                     "msr msp, r1\n"
                     "push {r0, lr}\n"
                     "bl on_nmi\n"
                     "pop {r1, lr}\n"
                     "msr msp, r0\n"
                     "bx lr\n");
}

__attribute__((naked)) void board_fault(void)
{
    __asm__ volatile("mrs r2, msp\n"
                     "mov r0, r2\n"
                     "tst lr, #4\n"
                     "it ne\n"
                     "mrsne r0, psp\n"
                     "ldr r1, =board_stack\n"
                     "msr msp, r1\n"
                     "push {r2, lr}\n"
                     "push {r4-r11}\n"
                     "mov r1, sp\n"
                     "bl on_fault\n"
                     "pop {r4-r11}\n"
                     "pop {r2, lr}\n"
                     "msr msp, r2\n"
                     "bx lr\n");
}

/* The other exceptions. Faults that firmware has switched on are switched off, and come again as HardFault; what the
   board does not serve (SVC, PendSV) is made one. */
__attribute__((naked)) void board_other(void)
{
    __asm__ volatile("mrs r0, ipsr\n"
                     "sub r0, r0, #4\n"
                     "cmp r0, #2\n"
                     "bhi 1f\n"
                     "ldr r1, =0xE000ED24\n"
                     "ldr r0, [r1]\n"
                     "bic r0, r0, #0x70000\n"
                     "str r0, [r1]\n"
                     "dsb\n"
                     "bx lr\n"
                     "1: udf #0\n");
}
