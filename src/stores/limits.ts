// Limits that the SQL stores share, in milliseconds.

/**
 * How long to wait for the answer of a connection before it is given up. Drivers never give up: after a network failure that drops
 * packets, all connections of a pool would wait until the operating system ends them, a quarter of an hour or more. The statement
 * may still be executed.
 */
export const MAX_SILENCE = 30_000
