/* SPDX-License-Identifier: Apache-2.0 */
/* Counts its starts in its storage, says so in the device's log, is watched, and tells what the device tells it. */
#include "armillary_application.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int count_start(void) {
    char path[256];
    int starts = 0;
    const char *folder = getenv("ARMILLARY_DATA");
    if (folder == NULL) return -1;
    snprintf(path, sizeof path, "%s/starts", folder);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        if (fscanf(file, "%d", &starts) != 1) starts = 0;
        fclose(file);
    }
    file = fopen(path, "w");
    if (file == NULL) return -1;
    fprintf(file, "%d\n", ++starts);
    fclose(file);
    return starts;
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    armillary_device *device = armillary_open(NULL);
    if (device == NULL) {
        fprintf(stderr, "no device: %s\n", strerror(errno));
        return 1;
    }
    char line[128];
    int64_t quota, used = 0;
    snprintf(line, sizeof line, "C: start number %d", count_start());
    armillary_log(device, ARMILLARY_INFO, line);
    if (armillary_storage(device, &quota, &used) == 0) printf("storage of %lld bytes\n", (long long)quota);
    if (armillary_memory(device, &used, NULL) != 0) printf("memory: %s\n", armillary_message(device));
    snprintf(line, sizeof line, "{\"storage_used_bytes\":%lld}", (long long)used);
    if (armillary_send_telemetry(device, line, NULL) != 0) printf("telemetry: %s\n", armillary_message(device));
    if (armillary_watch(device, 10) != 0 || armillary_subscribe(device, NULL) != 0) {
        fprintf(stderr, "refused: %s\n", armillary_message(device));
        return 1;
    }
    printf("watched\n");
    for (;;) {
        const char *kind, *data;
        int found = armillary_event(device, 1000, &kind, &data);
        if (found < 0) return 1;
        if (found > 0) printf("event %s\n", kind);
        if (armillary_beat(device) != 0) return 1;
    }
}
