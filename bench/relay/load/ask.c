#include "ask.h"

#include "clock.h"

enum { OUTSTANDING = 32 };
static const double PATIENCE = 0.2, GIVE_UP = 10;

const char *ask_all(struct asking *asking)
{
    double heard_at = seconds_now(), progress_at = heard_at;
    for (;;) {
        /* A round over those that lack an answer, a few at a time. */
        uint32_t next = 0, waiting_for[OUTSTANDING], waiting = 0;
        bool complete = true;
        while (next < asking->count || waiting > 0) {
            for (; waiting < OUTSTANDING && next < asking->count; next++)
                if (!asking->is_answered(&asking->flows[next])) {
                    asking->ask(asking, next);
                    waiting_for[waiting++] = next;
                    complete = false;
                }
            end_flush(asking->asks);
            if (end_receive(asking->hears, asking->hear, asking) > 0)
                heard_at = seconds_now();
            if (asking->refusal != NULL)
                return asking->refusal;
            double now = seconds_now();
            bool lost = now - heard_at > PATIENCE;
            for (uint32_t at = 0; at < waiting;) {
                bool is_answered = asking->is_answered(&asking->flows[waiting_for[at]]);
                if (is_answered)
                    progress_at = now;
                if (is_answered || lost)
                    waiting_for[at] = waiting_for[--waiting];
                else
                    at++;
            }
            if (lost)
                heard_at = now;
            if (now - progress_at > GIVE_UP)
                return "the relay does not answer";
        }
        if (complete)
            return NULL;
    }
}
