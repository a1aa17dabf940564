/* Known failures of Spark on Kubernetes: which of them do these facts show, why do they happen, what helps.
 *
 * The rules are doctor-rules.yaml beside this file, built into the program and read once, on first use. Matching is pure: facts
 * in, findings out. Alternatives that ask for facts nobody gave (conf, obj) never match. Single-threaded. */
#ifndef FIRESTEEL_RULES_DOCTOR_H
#define FIRESTEEL_RULES_DOCTOR_H

#include "base/err.h"
#include "base/vec.h"

enum { DOCTOR_MAX_LINE = 16 * 1024 }; /* of a log line, an event or an error that expressions look at */

enum doctor_severity { DOCTOR_CRITICAL, DOCTOR_HIGH, DOCTOR_MEDIUM, DOCTOR_LOW };

struct doctor_rule {
        const char *id, *title, *cause, *phase;
        enum doctor_severity severity;
        const char *const *fixes; /* NULL-terminated */
};

struct doctor_event {
        const char *reason, *message;
};

/* What is known of one pod. All borrowed, all optional (NULL, exit_code -1). */
struct doctor_facts {
        const char *role;  /* driver, executor, ...; NULL matches rules about any pod only */
        const char *phase, *waiting, *terminated;
        int exit_code;
        const struct strv *log;    /* lines */
        const struct doctor_event *events;
        size_t events_len;
        const struct strv *errors; /* of API servers */
};

struct doctor_finding {
        const struct doctor_rule *rule;
        char *evidence; /* the line, event or state that showed it */
        int weight;     /* how particular the match is: more is more convincing */
};
struct doctor_findings {
        struct doctor_finding *items;
        size_t len, cap;
};
void doctor_findings_done(struct doctor_findings *f);
DEFINE_AUTO_VALUE(doctor_findings, struct doctor_findings, doctor_findings_done)

/* Adds what the facts show; the most convincing first, each rule once. An error only when the rules themselves are broken. */
MUST_USE int doctor_match(const struct doctor_facts *facts, struct doctor_findings *ret, struct err *err);
const char *doctor_severity_name(enum doctor_severity s);
/* All rules, for listings. Returns the count. */
MUST_USE int doctor_rules(const struct doctor_rule *const **ret, struct err *err);

#endif
