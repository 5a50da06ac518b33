#include "source/synthetic/random.h"

enum { STEP_BITS = 6, FRACTION_BITS = 32 };

#define LN2 UINT64_C(744261118) /* ln 2 times 2^30 */

/* ln(1 + i/64) times 2^30. */
static const uint32_t logarithms[(1 << STEP_BITS) + 1] = {
    0,         16647494,  33040817,  49187615,  65095192,  80770534,  96220323,  111450959,
    126468572, 141279038, 155887996, 170300854, 184522808, 198558849, 212413774, 226092199,
    239598564, 252937143, 266112055, 279127266, 291986604, 304693756, 317252283, 329665621,
    341937090, 354069895, 366067135, 377931807, 389666807, 401274940, 412758919, 424121372,
    435364845, 446491803, 457504636, 468405662, 479197128, 489881214, 500460037, 510935650,
    521310048, 531585167, 541762891, 551845048, 561833416, 571729724, 581535654, 591252841,
    600882877, 610427311, 619887653, 629265371, 638561895, 647778619, 656916903, 665978069,
    674963409, 683874180, 692711611, 701476899, 710171213, 718795691, 727351448, 735839570,
    744261118,
};

/* -ln u, where u = (1 + f) / 2^zeros is evenly distributed below 1. Between two steps of the table
 * the logarithm is interpolated linearly, with an error of 3e-5 at most. */
uint64_t cm_random_exponential(cm_random_t *random)
{
    uint64_t bits = cm_random_next(random) | 1;
    int zeros = __builtin_clzll(bits) + 1;
    uint64_t f = zeros == 64 ? 0 : bits << zeros; /* without the leading one */
    uint32_t step = (uint32_t)(f >> (64 - STEP_BITS));
    uint64_t fraction = f << STEP_BITS >> (64 - FRACTION_BITS);
    uint64_t rise = logarithms[step + 1] - logarithms[step];
    uint64_t ln = logarithms[step] + (rise * fraction >> FRACTION_BITS);
    return (uint64_t)zeros * LN2 - ln;
}
