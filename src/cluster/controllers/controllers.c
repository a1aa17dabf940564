#include "cluster/controllers.h"

#include "cluster/controllers/control.h"

/* Adding one: a file, an extern in control.h, a row here. */
static const struct controller *const rows[] = {
        &controller_cronjob,    &controller_daemonset,   &controller_deployment,  &controller_disruption, &controller_endpoints,
        &controller_eventttl,   &controller_garbage,     &controller_job,        &controller_namespace,  &controller_podgc,
        &controller_quota,      &controller_replicaset,  &controller_replication, &controller_statefulset, &controller_volumes,
};

struct controllers {
        struct controllers_options options;
        char *volumes_dir;
        struct control controls[ARRAY_LEN(rows)];
};

struct controllers *controllers_new(struct apiserver *server, const struct controllers_options *o) {
        struct controllers *c = NEW(struct controllers);
        c->volumes_dir = xstrdup_null(o->volumes_dir);
        c->options = (struct controllers_options){.volumes_dir = c->volumes_dir, .event_ttl_ms = o->event_ttl_ms};
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                if (o->only && !streq(o->only, rows[i]->name))
                        continue;
                struct control *control = &c->controls[i];
                *control = (struct control){
                        .server = server, .api = api_new(server, rows[i]->component), .options = &c->options, .row = rows[i]};
                control->state = rows[i]->start(control);
        }
        return c;
}

void controllers_free(struct controllers *c) {
        if (!c)
                return;
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                if (!c->controls[i].api)
                        continue;
                api_free(c->controls[i].api); /* ends the watches first */
                rows[i]->stop(c->controls[i].state);
        }
        free(c->volumes_dir);
        free(c);
}
