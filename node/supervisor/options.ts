import type { Clock } from '../../runtime/ports/clock.ts'
import type { Logger } from '../../runtime/ports/log.ts'

/** What a node runs, and how. */
export interface AttemptHostOptions {
  /** The node's data folder. The host owns `attempts/` below it: scratch folders, the spawn record, compiled handlers. */
  readonly dataFolder: string
  /** Most attempts at once, over all executors; also the most `js` pool processes. */
  readonly slots: number
  /** Executors that this node offers. `shell` is remote code execution by design. */
  readonly executors: readonly ('shell' | 'js')[]
  /** Folder of handler modules; without one `js` has no handlers. */
  readonly handlersFolder?: string | undefined
  /** The clock that deadlines are given on. */
  readonly clock: Clock
  readonly log: Logger
  /** A handler module that cannot be loaded, and why; its handlers are not offered. */
  readonly onProblem?: (problem: { readonly file: string; readonly message: string }) => void
  /** How long before the lease's end the supervisor kills, so that the kill is over by then. Default 250. */
  readonly leaseMarginMs?: number
  /** Environment variables that attempts inherit, by name. Default `DEFAULT_ENVIRONMENT`. */
  readonly environment?: readonly string[]
  readonly pool?: PoolOptions
}

/** Bounds of the `js` pool. */
export interface PoolOptions {
  /** Processes that are kept ready. Default: the smaller of `slots` and the number of cores. */
  readonly warm?: number
  /** When attempts wait and every process has been at one for this long, the pool grows, up to `slots`. Default 50. */
  readonly growAfterMs?: number
  /** A process is replaced after so many attempts. Default 100,000. */
  readonly recycleAfterAttempts?: number
  /** A process is replaced when it is larger than this after an attempt. Default 512 MiB. */
  readonly recycleAboveBytes?: number
}

/** What attempts inherit unless the node says otherwise: enough to find programs and write dates. */
export const DEFAULT_ENVIRONMENT: readonly string[] = [
  'PATH',
  'HOME',
  'USER',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'NODE_PATH',
  'NODE_EXTRA_CA_CERTS'
]
