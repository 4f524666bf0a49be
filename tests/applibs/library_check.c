/* SPDX-License-Identifier: Apache-2.0 */
/* Drives the C library for its tests: "json" reads kind, field and object, each ended by a zero byte, and prints what is
 * found; "talk" speaks with the device of the environment and prints what it hears. */
#define _POSIX_C_SOURCE 200809L
#include "armillary_application.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char kind[16], field[256], object[70000];

static int next(char *place, size_t size) {
    size_t done = 0;
    for (int byte; (byte = getchar()) != EOF;) {
        if (done < size) place[done++] = (char)byte;
        if (byte == 0) return done <= size;
    }
    return 0;
}

static void json(void) {
    while (next(kind, sizeof kind) && next(field, sizeof field) && next(object, sizeof object)) {
        /* On the heap with its very size, so that a byte read beyond it is seen. */
        char *exact = strdup(object), text[4096];
        int64_t number = 0;
        int truth = 0, found = -1;
        if (exact == NULL) exit(2);
        errno = 0;
        if (*kind == 'i' && (found = armillary_integer(exact, field, &number)) == 0) printf("%lld\n", (long long)number);
        if (*kind == 'b' && (found = armillary_boolean(exact, field, &truth)) == 0) printf("%s\n", truth ? "true" : "false");
        if (*kind == 't' && (found = armillary_text(exact, field, text, sizeof text)) == 0) {
            for (const char *at = text; *at != '\0'; at++) printf("%02x", (unsigned char)*at);
            printf("\n");
        }
        if (*kind == 'q' && (found = armillary_quote(text, sizeof text, exact)) == 0) printf("%s\n", text);
        if (found != 0) printf("%s\n", errno == ENOENT ? "ENOENT" : errno == ERANGE ? "ERANGE" : "EINVAL");
        free(exact);
    }
}

static int talk(void) {
    armillary_device *device = armillary_open(NULL);
    const char *name, *data, *result;
    int64_t number = 0, other = 0;
    int is_signed = -1, descriptors[2];
    size_t count = 0;
    if (device == NULL) return 2;
    printf("log %d\n", armillary_log(device, ARMILLARY_WARNING, "\"quoted\" \\ \n\xc3\xa4"));
    printf("storage %d", armillary_storage(device, &number, &other));
    printf(" %lld %lld\n", (long long)number, (long long)other);
    printf("time %d", armillary_time(device, &number, &is_signed));
    printf(" %lld %d\n", (long long)number, is_signed);
    if (armillary_log(device, ARMILLARY_INFO, "from elsewhere: \xff\xe4") != 0) return 3;
    int memory = armillary_memory(device, NULL, NULL);
    printf("memory %d %s %s\n", memory, errno == EACCES ? "EACCES" : "other", armillary_message(device));
    int64_t waiting = 0;
    int telemetry = armillary_send_telemetry(device, "{\"level\": 7}", &waiting);
    printf("telemetry %d %lld\n", telemetry, (long long)waiting);
    telemetry = armillary_send_telemetry(device, "7", NULL);
    printf("telemetry %d %s\n", telemetry, errno == EINVAL ? "EINVAL" : "other");
    static const char *const no_json[] = {"{\"t\": nan}", "{\"t\": -inf}", "{\"t\": NaN}", "{\"t"};
    for (size_t each = 0; each < sizeof no_json / sizeof no_json[0]; each++) {
        telemetry = armillary_send_telemetry(device, no_json[each], NULL);
        printf("telemetry %d %s %s\n", telemetry, errno == EINVAL ? "EINVAL" : "other", armillary_message(device));
    }
    telemetry = armillary_send_telemetry(device, "{\"nan\\\"\": [1e3, true, null, \"inf\"], \"x\": 2E-1}", &waiting);
    printf("telemetry %d %lld\n", telemetry, (long long)waiting);
    printf("subscribe %d ", armillary_subscribe(device, &result));
    printf("%s\n", result);
    printf("flood %d\n", armillary_ask(device, "test.flood", "{\"events\": 40}", NULL));
    while (armillary_event(device, 200, &name, &data) == 1) {
        if (armillary_integer(data, "number", &number) == 0) printf("event %s %lld\n", name, (long long)number);
    }
    printf("large %d", armillary_ask(device, "test.large", NULL, &result));
    printf(" %zu\n", strlen(result));
    printf("file %d", armillary_ask_descriptors(device, "test.file", NULL, NULL, descriptors, 2, &count));
    char text[16] = {0};
    if (count == 1 && pread(descriptors[0], text, sizeof text - 1, 0) > 0) close(descriptors[0]);
    printf(" %zu %s\n", count, text);
    printf("dropped %d\n", armillary_ask(device, "test.file", NULL, NULL));
    static char much[ARMILLARY_FRAME_LIMIT + 1];
    memset(much, ' ', ARMILLARY_FRAME_LIMIT);
    int too_much = armillary_ask(device, "test.large", much, NULL);
    printf("much %d %s\n", too_much, errno == E2BIG ? "E2BIG" : "other");
    too_much = armillary_log(device, ARMILLARY_INFO, much);
    printf("line %d %s\n", too_much, errno == E2BIG || errno == EINVAL ? "refused" : "other");
    printf("bye %d", armillary_ask(device, "test.bye", NULL, NULL));
    printf(" %s\n", errno == ECONNRESET ? "ECONNRESET" : strerror(errno));
    armillary_close(device);
    return 0;
}

int main(int count, char **named) {
    if (count == 2 && strcmp(named[1], "talk") == 0) return talk();
    json();
    return 0;
}
