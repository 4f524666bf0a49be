/* SPDX-License-Identifier: Apache-2.0 */
/* Talks to the device that runs this application, over its application interface.
 *
 *     armillary_device *device = armillary_open(NULL);
 *     if (device == NULL) { perror("armillary_open"); return 1; }
 *     armillary_log(device, ARMILLARY_INFO, "pump on");
 *     armillary_watch(device, 30);
 *     for (;;) { work(); armillary_beat(device); }
 *
 * Functions that return int return 0, or -1 with errno set: to the device's own number if it refused (EACCES where the
 * manifest does not name the capability), and armillary_message() says why in words. A device is used by one thread at a
 * time; others open their own. No function prints, exits or keeps anything outside of the device it is given.
 *
 * Methods and their parameters: docs/reference/application-interface.md. */
#ifndef ARMILLARY_APPLICATION_H
#define ARMILLARY_APPLICATION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the largest frame, and so of the largest request and answer. */
#define ARMILLARY_FRAME_LIMIT 65536
/* Most descriptors that come with one answer. */
#define ARMILLARY_DESCRIPTORS_LIMIT 16

typedef struct armillary_device armillary_device;

typedef enum { ARMILLARY_DEBUG, ARMILLARY_INFO, ARMILLARY_WARNING, ARMILLARY_ERROR } armillary_level;

/* Connect; path is where the socket is, NULL for where the environment says. NULL with errno if there is none. */
armillary_device *armillary_open(const char *path);
/* End the connection, and with it what was asked for on it. NULL is ignored. */
void armillary_close(armillary_device *device);
/* For poll(2): when it is readable, call armillary_event() with a time of 0. */
int armillary_descriptor(const armillary_device *device);
/* Why the last function failed, in words; "" if it did not. Valid until the next call. */
const char *armillary_message(const armillary_device *device);

/* Log and health. */
int armillary_log(armillary_device *device, armillary_level level, const char *text);
/* Have the device start this application again if armillary_beat() is not called within so many seconds. */
int armillary_watch(armillary_device *device, int within_s);
/* Say that the application works. Call it where the work is done, not in a thread of its own. */
int armillary_beat(armillary_device *device);

/* Updates and events. Have no update begin for so many minutes; 0 takes it back. */
int armillary_defer_update(armillary_device *device, int minutes);
/* Hear of all events from now on; *last is the JSON object of the last of each kind, valid until the next call. */
int armillary_subscribe(armillary_device *device, const char **last);
/* The next event: *kind is its name, *data its JSON object, both valid until the next call. 1 for an event, 0 if none
 * came within timeout_ms milliseconds (-1 waits), -1 for an error. */
int armillary_event(armillary_device *device, int timeout_ms, const char **kind, const char **data);

/* Storage, memory, time; a result that is not wanted may be NULL. */
int armillary_storage(armillary_device *device, int64_t *quota_bytes, int64_t *used_bytes);
int armillary_memory(armillary_device *device, int64_t *used_bytes, int64_t *peak_bytes);
int armillary_time(armillary_device *device, int64_t *unix_s, int *is_signed);

/* Have the device send readings to the hub: values is a JSON object. They are on their way, not there: the device keeps
 * them in memory while the hub is out of reach; *waiting, which may be NULL, is how many of this application's wait. */
int armillary_send_telemetry(armillary_device *device, const char *values, int64_t *waiting);

/* Any method. parameters is a JSON object, NULL for none; *result is the JSON object of the answer, valid until the next
 * call, and may be NULL. */
int armillary_ask(armillary_device *device, const char *method, const char *parameters, const char **result);
/* The same for a method that answers with descriptors: at most limit go to descriptors, *count says how many; they are
 * the caller's to close. */
int armillary_ask_descriptors(armillary_device *device, const char *method, const char *parameters,
                              const char **result, int *descriptors, size_t limit, size_t *count);

/* Reading a JSON object: a field of it, or of an object in it ("update.state"). 0, or -1 with ENOENT (there is none),
 * EINVAL (it is not of this kind) or ERANGE (it does not fit). */
int armillary_integer(const char *object, const char *field, int64_t *value);
int armillary_boolean(const char *object, const char *field, int *value);
int armillary_text(const char *object, const char *field, char *text, size_t size);
/* Writing one: text as a JSON string with its quotes; -1 with ERANGE if size is too small. A byte that is no UTF-8
 * becomes U+FFFD, so that text from elsewhere can be sent whatever it is. */
int armillary_quote(char *json, size_t size, const char *text);

#ifdef __cplusplus
}
#endif
#endif
