// SPDX-License-Identifier: Apache-2.0
// Modbus TCP machines on libmodbus for bench/guardian_point.py: any number of connections on one port of loopback.
// Every read finds all input registers moved on, so that each of its values is worth sending. Two holding registers say how
// many input registers were read, by whoever it was.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <unistd.h>
#include <modbus/modbus.h>
#define REGISTERS 128
int main(int count, char **named) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    modbus_t *context = modbus_new_tcp("127.0.0.1", count > 1 ? atoi(named[1]) : 1502);
    modbus_mapping_t *map = modbus_mapping_new(0, 0, 2, REGISTERS);
    int listening = modbus_tcp_listen(context, 32), highest = listening, length;
    if (listening < 0) { fprintf(stderr, "%s\n", modbus_strerror(errno)); return 1; }
    fd_set all, ready;
    FD_ZERO(&all);
    FD_SET(listening, &all);
    puts("ready");
    fflush(stdout);
    unsigned served = 0;
    for (unsigned turn = 0;; turn++) {
        ready = all;
        if (select(highest + 1, &ready, NULL, NULL, NULL) < 0) return 2;
        for (int each = 0; each <= highest; each++) {
            if (!FD_ISSET(each, &ready)) continue;
            if (each == listening) {
                int opened = modbus_tcp_accept(context, &listening);
                if (opened < 0) continue;
                FD_SET(opened, &all);
                if (opened > highest) highest = opened;
                continue;
            }
            modbus_set_socket(context, each);
            for (int place = 0; place < REGISTERS; place++) map->tab_input_registers[place] = (turn + place) % 1000;
            length = modbus_receive(context, query);
            if (length < 0) {
                close(each);
                FD_CLR(each, &all);
            } else if (length > 0) {
                if (query[7] == 4) served += query[10] << 8 | query[11];
                map->tab_registers[0] = served >> 16;
                map->tab_registers[1] = served & 0xFFFF;
                modbus_reply(context, query, length, map);
            }
        }
    }
}
