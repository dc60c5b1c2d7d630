/** What the optimizer of a node remembers at most, and how it paces itself. */
import { second } from '../../base/units.ts'

/** Ended tasks that are kept for replays: about 400 bytes each. */
export const HISTORY_TASKS = 6_000
/** Tasks, those that arrived last, that are replayed when a model is judged; what had ended before them fits speeds and begins estimators. */
export const REPLAYED_TASKS = 2_000
/** Training rows that every node keeps, so that a new leader can go on: about 300 bytes each. */
export const KEPT_ROWS = 8_000
/** History rows that a node reads when it starts. */
export const WARM_UP_ROWS = 20_000
/** Of these, the newest whose beginnings are told as well, so that there is something to train on. */
export const WARM_UP_BEGINNINGS = 4_000
/** Reading them ends after so long; what was read is used. */
export const WARM_UP_READ_MS = 10 * second
/** Longest stretch of reading history, or of passing it on, within one turn of the event loop. */
export const SLICE_MS = 4
/** Between two such stretches: half of the time is left to what the node is there for. */
export const PAUSE_MS = 4
/** What happens while history is read waits to be told after it; more than this ends the reading. Some 500 bytes each. */
export const MOST_HELD = 20_000
/** Between two looks at what is due. */
export const BEAT_MS = 250
/** Longest wait for the log to take a model or a verdict. */
export const PROPOSE_MS = 10 * second
/** Rows that models are scored on in one beat. */
export const SCORED_AT_ONCE = 100
