#include "cluster/session.h"

void session_add(struct apiserver *s, struct session *session, void (*end)(struct session *session)) {
        session->s = s;
        session->end = end;
        session->next = s->sessions;
        session->link = &s->sessions;
        if (s->sessions)
                s->sessions->link = &session->next;
        s->sessions = session;
}

void session_remove(struct session *session) {
        if (!session->link)
                return;
        *session->link = session->next;
        if (session->next)
                session->next->link = session->link;
        session->link = NULL;
}

void sessions_end(struct apiserver *s) {
        while (s->sessions)
                s->sessions->end(s->sessions);
}
