/* SPDX-License-Identifier: Apache-2.0 */
/* See armillary_application.h. Frames: the length of a JSON object in 4 bytes, big endian, then the object. */
#define _POSIX_C_SOURCE 200809L
#include "armillary_application.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_VARIABLE "ARMILLARY_APPLICATION_SOCKET"
#define LENGTH_BYTES 4
#define DEPTH_LIMIT 32 /* of nested objects and lists */
#define EVENTS_LIMIT 16 /* that come while an answer is waited for; the oldest are dropped */
#define KIND_BYTES 64
#define NAME_BYTES 64

struct armillary_device {
    int stream;
    uint64_t number;
    size_t received;                    /* bytes in input */
    size_t used;                        /* bytes of it that the message which was given last takes */
    char *body;                         /* of that message, ended by a zero byte */
    int descriptors[ARMILLARY_DESCRIPTORS_LIMIT];
    size_t descriptor_count;
    char *events[EVENTS_LIMIT];         /* bodies that wait, oldest first */
    size_t event_count;
    char *event;                        /* the body that was given last */
    char kind[KIND_BYTES];
    char message[256];
    char parameters[ARMILLARY_FRAME_LIMIT];
    char output[LENGTH_BYTES + ARMILLARY_FRAME_LIMIT];
    char input[LENGTH_BYTES + ARMILLARY_FRAME_LIMIT + 1];
};

/* JSON: each function takes a place in the text and gives the place behind what it has read, NULL if it is not there. */

static const char *skip_space(const char *at) {
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') at++;
    return at;
}

static const char *skip_text(const char *at) {
    if (*at++ != '"') return NULL;
    for (; *at != '"'; at++) {
        if (*at == '\0') return NULL;
        if (*at == '\\' && *++at == '\0') return NULL;
    }
    return at + 1;
}

static const char *skip_value(const char *at, int depth) {
    at = skip_space(at);
    if (*at == '"') return skip_text(at);
    if (*at != '{' && *at != '[') { /* a number, true, false or null */
        size_t size = strspn(at, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
        return size > 0 ? at + size : NULL;
    }
    char end = *at == '{' ? '}' : ']';
    if (depth == DEPTH_LIMIT) return NULL;
    at = skip_space(at + 1);
    if (*at == end) return at + 1;
    for (;;) {
        if (end == '}') {
            at = skip_text(skip_space(at));
            if (at == NULL) return NULL;
            at = skip_space(at);
            if (*at++ != ':') return NULL;
        }
        at = skip_value(at, depth + 1);
        if (at == NULL) return NULL;
        at = skip_space(at);
        if (*at == end) return at + 1;
        if (*at++ != ',') return NULL;
    }
}

/* Where the value of a field begins; NULL if the object has none. Names with escapes are not found. */
static const char *find_here(const char *object, const char *name, size_t name_size) {
    const char *at = skip_space(object);
    if (*at++ != '{') return NULL;
    at = skip_space(at);
    while (*at == '"') {
        const char *key = at + 1;
        at = skip_text(at);
        if (at == NULL) return NULL;
        int is_it = (size_t)(at - 1 - key) == name_size && memcmp(key, name, name_size) == 0;
        at = skip_space(at);
        if (*at++ != ':') return NULL;
        if (is_it) return skip_space(at);
        at = skip_value(at, 0);
        if (at == NULL) return NULL;
        at = skip_space(at);
        if (*at == ',') at = skip_space(at + 1);
    }
    return NULL;
}

static const char *find(const char *object, const char *field) {
    while (object != NULL) {
        size_t size = strcspn(field, ".");
        object = find_here(object, field, size);
        if (field[size] == '\0') return object;
        field += size + 1;
    }
    return NULL;
}

/* The value of a field alone: what stands behind it in the text is cut off. NULL if there is none. */
static const char *cut(char *text, const char *field) {
    const char *value = find(text, field), *end = value == NULL ? NULL : skip_value(value, 0);
    if (end == NULL) return NULL;
    text[end - text] = '\0';
    return value;
}

static int fail(int number) {
    errno = number;
    return -1;
}

int armillary_integer(const char *object, const char *field, int64_t *value) {
    const char *at = find(object, field);
    if (at == NULL) return fail(ENOENT);
    if (*at != '-' && (*at < '0' || *at > '9')) return fail(EINVAL);
    char *end;
    errno = 0;
    long long found = strtoll(at, &end, 10);
    if (errno != 0) return -1;
    if (*end == '.' || *end == 'e' || *end == 'E' || end == at) return fail(EINVAL);
    *value = found;
    return 0;
}

int armillary_boolean(const char *object, const char *field, int *value) {
    const char *at = find(object, field);
    if (at == NULL) return fail(ENOENT);
    if (strncmp(at, "true", 4) != 0 && strncmp(at, "false", 5) != 0) return fail(EINVAL);
    *value = *at == 't';
    return 0;
}

/* Four hexadecimal digits; -1 if they are not there. */
static long hex4(const char *at) {
    long found = 0;
    for (int place = 0; place < 4; place++) {
        char digit = at[place];
        if (digit >= '0' && digit <= '9') found = found * 16 + (digit - '0');
        else if (digit >= 'a' && digit <= 'f') found = found * 16 + (digit - 'a' + 10);
        else if (digit >= 'A' && digit <= 'F') found = found * 16 + (digit - 'A' + 10);
        else return -1;
    }
    return found;
}

/* The character of an escape whose backslash at stands on, as UTF-8 in out; bytes of it, 0 if it is none. *next is the
 * place behind it. Half of a surrogate pair is a question mark. */
static size_t unescape(const char *at, char out[4], const char **next) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *simple = at[1] == '\0' ? NULL : strchr(from, at[1]);
    *next = at + 2;
    if (simple != NULL) {
        out[0] = to[simple - from];
        return 1;
    }
    long code = at[1] == 'u' ? hex4(at + 2) : -1;
    if (code < 0) return 0;
    *next = at + 6;
    if (code >= 0xD800 && code < 0xDC00 && (*next)[0] == '\\' && (*next)[1] == 'u') {
        long low = hex4(*next + 2);
        if (low >= 0xDC00 && low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            *next += 6;
        }
    }
    if (code == 0 || (code >= 0xD800 && code < 0xE000)) code = '?';
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char first[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
    for (size_t place = size - 1; place > 0; place--, code >>= 6) out[place] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(first[size] | code);
    return size;
}

int armillary_text(const char *object, const char *field, char *text, size_t size) {
    const char *at = find(object, field);
    if (at == NULL) return fail(ENOENT);
    if (*at++ != '"') return fail(EINVAL);
    size_t done = 0;
    while (*at != '"') {
        char bytes[4] = {*at};
        size_t count = 1;
        if (*at == '\0') return fail(EINVAL);
        if (*at == '\\') count = unescape(at, bytes, &at);
        else at++;
        if (count == 0) return fail(EINVAL);
        if (done + count >= size) return fail(ERANGE);
        memcpy(text + done, bytes, count);
        done += count;
    }
    if (done >= size) return fail(ERANGE);
    text[done] = '\0';
    return 0;
}

/* Bytes of the character that at stands on; 0 where there is none in UTF-8 (RFC 3629). */
static size_t character_size(const char *at) {
    const unsigned char *byte = (const unsigned char *)at;
    size_t size = byte[0] < 0x80 ? 1 : byte[0] < 0xC2 ? 0 : byte[0] < 0xE0 ? 2 : byte[0] < 0xF0 ? 3 : byte[0] < 0xF5 ? 4 : 0;
    for (size_t place = 1; place < size; place++)
        if ((byte[place] & 0xC0) != 0x80) return 0;
    if (byte[0] == 0xE0 && byte[1] < 0xA0) return 0; /* longer than it needs to be */
    if (byte[0] == 0xED && byte[1] > 0x9F) return 0; /* half of a surrogate pair */
    if (byte[0] == 0xF0 && byte[1] < 0x90) return 0;
    if (byte[0] == 0xF4 && byte[1] > 0x8F) return 0; /* beyond the last character */
    return size;
}

int armillary_quote(char *json, size_t size, const char *text) {
    size_t done = 0;
    if (size < 3) return fail(ERANGE);
    json[done++] = '"';
    while (*text != '\0') {
        unsigned char byte = (unsigned char)*text;
        size_t count = character_size(text);
        if (done + 8 > size) return fail(ERANGE);
        if (byte == '"' || byte == '\\') json[done++] = '\\';
        if (byte < 0x20) {
            done += (size_t)snprintf(json + done, size - done, "\\u%04x", byte);
        } else {
            memcpy(json + done, count > 0 ? text : "\xEF\xBF\xBD", count > 0 ? count : 3);
            done += count > 0 ? count : 3;
        }
        text += count > 0 ? count : 1;
    }
    json[done++] = '"';
    json[done] = '\0';
    return 0;
}

/* The connection. */

static int refuse(armillary_device *device, int number, const char *why) {
    snprintf(device->message, sizeof device->message, "%s", why);
    return fail(number);
}

armillary_device *armillary_open(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL) path = getenv(SOCKET_VARIABLE);
    if (path == NULL) {
        errno = ENOENT;
        return NULL;
    }
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    strcpy(address.sun_path, path);
    armillary_device *device = calloc(1, sizeof *device);
    if (device == NULL) return NULL;
    device->stream = socket(AF_UNIX, SOCK_STREAM, 0);
    if (device->stream < 0 || connect(device->stream, (struct sockaddr *)&address, sizeof address) != 0) {
        int number = errno;
        armillary_close(device);
        errno = number;
        return NULL;
    }
    return device;
}

void armillary_close(armillary_device *device) {
    if (device == NULL) return;
    if (device->stream >= 0) close(device->stream);
    for (size_t each = 0; each < device->descriptor_count; each++) close(device->descriptors[each]);
    for (size_t each = 0; each < device->event_count; each++) free(device->events[each]);
    free(device->event);
    free(device);
}

int armillary_descriptor(const armillary_device *device) { return device->stream; }

const char *armillary_message(const armillary_device *device) { return device->message; }

static int send_all(armillary_device *device, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t count = send(device->stream, device->output + done, size - done, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return refuse(device, errno, "the device does not answer");
        done += (size_t)count;
    }
    return 0;
}

/* Keep the descriptors that came with bytes; those beyond the limit are closed. */
static void keep_descriptors(armillary_device *device, struct msghdr *header) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t each = 0; each < count; each++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(part) + each * sizeof(int), sizeof(int));
            if (device->descriptor_count < ARMILLARY_DESCRIPTORS_LIMIT)
                device->descriptors[device->descriptor_count++] = descriptor;
            else
                close(descriptor);
        }
    }
}

static int receive_more(armillary_device *device) {
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(ARMILLARY_DESCRIPTORS_LIMIT * sizeof(int))];
    } control;
    struct iovec place = {device->input + device->received, sizeof device->input - 1 - device->received};
    struct msghdr header = {.msg_iov = &place, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t count = recvmsg(device->stream, &header, MSG_CMSG_CLOEXEC);
    if (count < 0 && errno == EINTR) return 0;
    if (count < 0) return refuse(device, errno, "the device does not answer");
    keep_descriptors(device, &header);
    if (count == 0) return refuse(device, ECONNRESET, "the device has closed the connection");
    device->received += (size_t)count;
    return 0;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Wait until there is something to read; 1 if there is, 0 if not within the time, -1 for an error. */
static int wait_readable(armillary_device *device, int64_t until_ms) {
    for (;;) {
        int64_t left = until_ms < 0 ? -1 : until_ms - now_ms();
        struct pollfd one = {.fd = device->stream, .events = POLLIN};
        int found = poll(&one, 1, until_ms < 0 ? -1 : left < 0 ? 0 : left > 60000 ? 60000 : (int)left);
        if (found > 0) return 1;
        if (found < 0 && errno != EINTR) return refuse(device, errno, "the device does not answer");
        if (until_ms >= 0 && now_ms() >= until_ms) return 0;
    }
}

/* The next message into body; 1 for a message, 0 if none came by then, -1 for an error. */
static int next_message(armillary_device *device, int64_t until_ms) {
    if (device->used > 0) {
        device->input[device->used] = device->input[sizeof device->input - 1]; /* what the zero byte stood on */
        memmove(device->input, device->input + device->used, device->received - device->used);
        device->received -= device->used;
        device->used = 0;
    }
    for (;;) {
        if (device->received >= LENGTH_BYTES) {
            const unsigned char *head = (const unsigned char *)device->input;
            size_t size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
            if (size > ARMILLARY_FRAME_LIMIT) return refuse(device, EPROTO, "the device sent no frame");
            if (device->received >= LENGTH_BYTES + size) {
                device->used = LENGTH_BYTES + size;
                device->body = device->input + LENGTH_BYTES;
                device->input[sizeof device->input - 1] = device->input[device->used];
                device->input[device->used] = '\0';
                return 1;
            }
        }
        if (until_ms >= 0) {
            int found = wait_readable(device, until_ms);
            if (found <= 0) return found;
        }
        if (receive_more(device) != 0) return -1;
    }
}

/* Keep the body of an event; the oldest is dropped where too many wait. */
static int keep_event(armillary_device *device) {
    char *copy = strdup(device->body);
    if (copy == NULL) return refuse(device, ENOMEM, "no memory for an event");
    if (device->event_count == EVENTS_LIMIT) {
        free(device->events[0]);
        memmove(device->events, device->events + 1, (EVENTS_LIMIT - 1) * sizeof device->events[0]);
        device->event_count--;
    }
    device->events[device->event_count++] = copy;
    return 0;
}

static int refused(armillary_device *device) {
    int64_t number = EPROTO;
    armillary_integer(device->body, "error.errno", &number);
    if (armillary_text(device->body, "error.message", device->message, sizeof device->message) != 0)
        snprintf(device->message, sizeof device->message, "the device refused it");
    return fail((int)number);
}

static int send_request(armillary_device *device, const char *method, const char *parameters) {
    char *frame = device->output + LENGTH_BYTES;
    int size = snprintf(frame, ARMILLARY_FRAME_LIMIT, "{\"id\":%llu,\"method\":\"%.*s\",\"parameters\":%s}",
                        (unsigned long long)++device->number, NAME_BYTES, method,
                        parameters == NULL ? "{}" : parameters);
    if (size < 0 || size >= ARMILLARY_FRAME_LIMIT) return refuse(device, E2BIG, "the request is too large");
    for (int place = 0; place < LENGTH_BYTES; place++)
        device->output[place] = (char)((unsigned)size >> (8 * (LENGTH_BYTES - 1 - place)));
    return send_all(device, LENGTH_BYTES + (size_t)size);
}

int armillary_ask_descriptors(armillary_device *device, const char *method, const char *parameters,
                              const char **result, int *descriptors, size_t limit, size_t *count) {
    device->message[0] = '\0';
    if (count != NULL) *count = 0;
    if (send_request(device, method, parameters) != 0) return -1;
    for (;;) {
        if (next_message(device, -1) < 0) return -1;
        if (find(device->body, "event") == NULL) break;
        if (keep_event(device) != 0) return -1;
    }
    if (find(device->body, "error") != NULL) return refused(device);
    int64_t given = 0;
    armillary_integer(device->body, "descriptors", &given);
    const char *found = cut(device->body, "result");
    if (found == NULL) return refuse(device, EPROTO, "the device sent no answer");
    if (result != NULL) *result = found;
    for (size_t each = 0; each < device->descriptor_count; each++) {
        if (each < (size_t)given && each < limit && descriptors != NULL && count != NULL)
            descriptors[(*count)++] = device->descriptors[each];
        else
            close(device->descriptors[each]);
    }
    device->descriptor_count = 0;
    return 0;
}

int armillary_ask(armillary_device *device, const char *method, const char *parameters, const char **result) {
    return armillary_ask_descriptors(device, method, parameters, result, NULL, 0, NULL);
}

/* The methods. */

static int ask_with_number(armillary_device *device, const char *method, const char *name, int value) {
    char parameters[64];
    snprintf(parameters, sizeof parameters, "{\"%s\":%d}", name, value);
    return armillary_ask(device, method, parameters, NULL);
}

int armillary_log(armillary_device *device, armillary_level level, const char *text) {
    static const char *const names[] = {"debug", "info", "warning", "error"};
    int start = snprintf(device->parameters, sizeof device->parameters, "{\"level\":\"%s\",\"text\":",
                         names[level <= ARMILLARY_ERROR ? level : ARMILLARY_ERROR]);
    size_t room = sizeof device->parameters - (size_t)start - 1;
    if (armillary_quote(device->parameters + start, room, text) != 0) return refuse(device, E2BIG, "the line is too long");
    strcat(device->parameters, "}");
    return armillary_ask(device, "log.write", device->parameters, NULL);
}

int armillary_watch(armillary_device *device, int within_s) {
    return ask_with_number(device, "health.watch", "within_s", within_s);
}

int armillary_beat(armillary_device *device) { return armillary_ask(device, "health.beat", NULL, NULL); }

int armillary_defer_update(armillary_device *device, int minutes) {
    return ask_with_number(device, "update.defer", "minutes", minutes);
}

int armillary_subscribe(armillary_device *device, const char **last) {
    return armillary_ask(device, "events.subscribe", NULL, last);
}

int armillary_event(armillary_device *device, int timeout_ms, const char **kind, const char **data) {
    int64_t until_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    device->message[0] = '\0';
    while (device->event_count == 0) {
        int found = next_message(device, until_ms);
        if (found <= 0) return found;
        if (find(device->body, "error") != NULL) return refused(device);
        if (find(device->body, "event") != NULL && keep_event(device) != 0) return -1;
    }
    free(device->event);
    device->event = device->events[0];
    memmove(device->events, device->events + 1, --device->event_count * sizeof device->events[0]);
    if (armillary_text(device->event, "event", device->kind, sizeof device->kind) != 0)
        return refuse(device, EPROTO, "the device sent no event");
    *kind = device->kind;
    *data = cut(device->event, "data");
    return *data == NULL ? refuse(device, EPROTO, "the device sent no event") : 1;
}

/* Ask for two integers; either place may be NULL. */
static int two_integers(armillary_device *device, const char *method, const char *first, int64_t *one,
                        const char *second, int64_t *two) {
    const char *result;
    int64_t unused;
    if (armillary_ask(device, method, NULL, &result) != 0) return -1;
    if (armillary_integer(result, first, one == NULL ? &unused : one) != 0) return -1;
    return armillary_integer(result, second, two == NULL ? &unused : two);
}

int armillary_storage(armillary_device *device, int64_t *quota_bytes, int64_t *used_bytes) {
    return two_integers(device, "storage.usage", "quota_bytes", quota_bytes, "used_bytes", used_bytes);
}

int armillary_memory(armillary_device *device, int64_t *used_bytes, int64_t *peak_bytes) {
    return two_integers(device, "memory.statistics", "used_bytes", used_bytes, "peak_bytes", peak_bytes);
}

/* Whether text has no word that is none of JSON's, such as the nan and inf that printf writes. */
static int has_json_words(const char *text) {
    static const char *const words[] = {"true", "false", "null"};
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '"') {
            for (at++; *at != '"'; at++) {
                if (*at == '\\') at++;
                if (*at == '\0') return 0;
            }
        } else if ((*at | 0x20) >= 'a' && (*at | 0x20) <= 'z') {
            if ((*at | 0x20) == 'e' && at > text && at[-1] >= '0' && at[-1] <= '9') continue;
            size_t word = 0;
            while (word < 3 && strncmp(at, words[word], strlen(words[word])) != 0) word++;
            if (word == 3) return 0;
            at += strlen(words[word]) - 1;
        }
    }
    return 1;
}

int armillary_send_telemetry(armillary_device *device, const char *values, int64_t *waiting) {
    const char *result;
    int64_t unused;
    if (!has_json_words(values)) return refuse(device, EINVAL, "the values are no JSON: NaN and infinities are no numbers");
    int size = snprintf(device->parameters, sizeof device->parameters, "{\"values\":%s}", values);
    if (size < 0 || (size_t)size >= sizeof device->parameters) return refuse(device, E2BIG, "the values are too long");
    if (armillary_ask(device, "telemetry.send", device->parameters, &result) != 0) return -1;
    return armillary_integer(result, "waiting", waiting == NULL ? &unused : waiting);
}

int armillary_time(armillary_device *device, int64_t *unix_s, int *is_signed) {
    const char *result;
    int64_t seconds;
    int given;
    if (armillary_ask(device, "time.get", NULL, &result) != 0) return -1;
    if (armillary_integer(result, "unix_s", &seconds) != 0 || armillary_boolean(result, "signed", &given) != 0) return -1;
    if (unix_s != NULL) *unix_s = seconds;
    if (is_signed != NULL) *is_signed = given;
    return 0;
}
