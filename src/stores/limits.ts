// Limits that the SQL stores share, in milliseconds.

/**
 * How long to wait for the answer of a connection before it is given up. Drivers never give up: after a network failure that drops
 * packets, all connections of a pool would wait until the operating system ends them, a quarter of an hour or more. The statement
 * may still be executed.
 */
export const MAX_SILENCE = 30_000

/**
 * After this time a sweep begins no further batch: it must end before the middleware's default deadline for a store call, two
 * seconds. The next call goes on.
 */
export const MAX_SWEEP = 1000
