/*
 * Replays: a recorded body, cut where the test wants it.
 */

#ifndef MOCK_REPLAY_H
#define MOCK_REPLAY_H

#include "mock_conn.h"


/* Answers with the body's bytes (which it takes), cut, paced and framed as
 * the options say.  -1: the options are wrong, see err. */
int mock_replay(mock_conn_t *c, const mock_request_t *r,
    const mock_options_t *o, mock_buf_t *body, mock_buf_t *err);


#endif /* MOCK_REPLAY_H */
