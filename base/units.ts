declare const unit: unique symbol
type Unit<Name extends string> = number & { readonly [unit]: Name }

/** A point in state time: milliseconds since the Unix epoch, as stamped by a leader. */
export type TimestampMs = Unit<'TimestampMs'>
/** A length of time in milliseconds. */
export type DurationMs = Unit<'DurationMs'>
/** A point on one process's monotonic clock, in milliseconds; never compared across processes. */
export type MonotonicMs = Unit<'MonotonicMs'>

export const timestampMs = (value: number): TimestampMs => value as TimestampMs
export const durationMs = (value: number): DurationMs => value as DurationMs
export const monotonicMs = (value: number): MonotonicMs => value as MonotonicMs

export const KiB = 1024
export const MiB = 1024 * KiB
export const second = 1000
export const minute = 60 * second
export const hour = 60 * minute
