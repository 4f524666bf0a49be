/* SPDX-License-Identifier: Apache-2.0 */
/* An application that manages the device's Wi-Fi: it asks the device what stands in main(), and prints each question's
 * number, its method and the answer, in pieces that a line of the device's log has room for. An answer that has to come
 * true later is asked for again. */
#include "armillary_application.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TRIES = 600, PIECE = 100 };

/* Asks until the answer has a text, and prints it; the last answer where it never has. */
static void ask(armillary_device *device, const char *method, const char *parameters, const char *wanted) {
    static int number;
    const char *result = "";
    number++;
    for (int i = 0; i < TRIES; i++) {
        if (armillary_ask(device, method, parameters, &result) != 0) {
            printf("app %d %s refused %d %s\n", number, method, errno, armillary_message(device));
            return;
        }
        if (strstr(result, wanted) != NULL) break;
        sleep(1);
    }
    for (size_t at = 0; at < strlen(result); at += PIECE) printf("app %d %s %.*s\n", number, method, PIECE, result + at);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    armillary_device *device = armillary_open(NULL);
    if (device == NULL) return 1;
    ask(device, "wifi.scan", "{}", "armillary-psk");
    ask(device, "wifi.add", "{\"ssid\":\"armillary-psk\",\"security\":\"psk\",\"passphrase\":\"another passphrase\",\"enabled\":true}", "");
    ask(device, "wifi.diagnostics", "{}", "WrongKey");
    ask(device, "wifi.forget", "{\"id\":0}", "");
    ask(device, "wifi.add", "{\"ssid\":\"armillary-hidden\",\"security\":\"psk\",\"passphrase\":\"" PASSPHRASE "\",\"enabled\":true,\"targeted_scan\":true}", "");
    ask(device, "wifi.status", "{}", "10.77.3.");
    ask(device, "wifi.save-power", "{}", "");
    ask(device, "wifi.status", "{}", "\"saves_power\":true");
    ask(device, "wifi.forget", "{\"id\":1}", "");
    ask(device, "wifi.save-power", "{\"enabled\":false}", "");
    ask(device, "wifi.add", "{\"ssid\":\"armillary-work\",\"security\":\"eaptls\",\"client_certificate\":\"client\",\"enabled\":true}", "");
    printf("app done\n");
    for (;;) pause();
}
