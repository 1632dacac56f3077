/*
 * Times between events.  One generator a stream (splitmix64), so that a seed
 * gives the same gaps whatever other streams do.  Sources: Box and Muller
 * for the normal distribution, Marsaglia and Tsang (2000) for gamma.
 */

#include <math.h>

#include "mock_delay.h"


uint64_t
mock_delay_hash(uint64_t seed, uint64_t k)
{
    uint64_t  z;

    z = seed + (k + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;

    return z ^ (z >> 31);
}


/* in (0, 1), never an end: its logarithm is taken */
static double
mock_delay_unit(mock_delay_t *d)
{
    d->state++;

    return ((double) (mock_delay_hash(0, d->state) >> 11) + 0.5)
           / 9007199254740992.0;
}


static double
mock_delay_normal(mock_delay_t *d)
{
    double  u, v;

    u = mock_delay_unit(d);
    v = mock_delay_unit(d);

    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}


static double
mock_delay_gamma(mock_delay_t *d, double shape)
{
    double  a, c, u, v, x, boost;

    boost = 1;

    if (shape < 1) {
        boost = pow(mock_delay_unit(d), 1 / shape);
        shape += 1;
    }

    a = shape - 1.0 / 3;
    c = 1 / sqrt(9 * a);

    for ( ;; ) {
        x = mock_delay_normal(d);
        v = 1 + c * x;

        if (v <= 0) {
            continue;
        }

        v = v * v * v;
        u = mock_delay_unit(d);

        if (log(u) < x * x / 2 + a - a * v + a * log(v)) {
            return boost * a * v;
        }
    }
}


void
mock_delay_init(mock_delay_t *d, int dist, double mean, double spread,
    uint64_t seed)
{
    d->dist = dist;
    d->mean = mean;
    d->spread = spread;
    d->state = mock_delay_hash(seed, 0);

    if (mean <= 0 || spread <= 0) {
        d->dist = MOCK_DIST_CONSTANT;
    }
}


int64_t
mock_delay_next(mock_delay_t *d)
{
    double  r, s;

    switch (d->dist) {

    case MOCK_DIST_UNIFORM:
        r = d->mean + d->spread * (2 * mock_delay_unit(d) - 1);
        break;

    case MOCK_DIST_NORMAL:
        r = d->mean + d->spread * mock_delay_normal(d);
        break;

    case MOCK_DIST_LOGNORMAL:
        s = log(1 + d->spread * d->spread / (d->mean * d->mean));
        r = exp(log(d->mean) - s / 2 + sqrt(s) * mock_delay_normal(d));
        break;

    case MOCK_DIST_GAMMA:
        s = d->mean / d->spread;
        r = mock_delay_gamma(d, s * s) * d->spread * d->spread / d->mean;
        break;

    default:
        r = d->mean;
        break;
    }

    return r > 0 ? (int64_t) (r + 0.5) : 0;
}
