/** What a node and its supervisor process tell each other. */
import type { AttemptExit, AttemptStart } from '../../runtime/ports/attempt-host.ts'
import type { StopReason } from '../../scheduler/types.ts'

/** The command line of the supervisor process, as JSON in its first argument. */
export interface SupervisorSettings {
  /** Where scratch folders and the spawn record live. */
  readonly folder: string
  readonly leaseMarginMs: number
  /** Names of the environment variables that attempts inherit. */
  readonly environment: readonly string[]
  /** Socket on which the node waits for pool processes. */
  readonly socketPath: string
}

/** `discover` lists the handlers of a folder, `process` runs one attempt at a time, `threads` one a thread. */
export type PoolRole = 'discover' | 'process' | 'threads'

export type ToSupervisor =
  | { readonly type: 'begin'; readonly attempt: AttemptStart }
  | { readonly type: 'stop'; readonly token: number; readonly reason: StopReason }
  /** `deadline` on the system's monotonic clock, see `system-monotonic.ts`. */
  | { readonly type: 'lease'; readonly incarnation: number; readonly deadline: number }
  | { readonly type: 'end'; readonly incarnation: number }
  /** `secret` lets the node recognise the process when it connects. */
  | { readonly type: 'spawn'; readonly child: number; readonly role: PoolRole; readonly secret: string }
  /** The pool process works for this incarnation from now on; `hold`: it may outlive the lease. */
  | {
      readonly type: 'bind'
      readonly child: number
      readonly incarnation: number
      readonly hold: boolean
    }
  | { readonly type: 'kill'; readonly child: number }

export type FromSupervisor =
  /** The predecessor's `leftovers` processes are gone. */
  | { readonly type: 'ready'; readonly leftovers: number }
  | { readonly type: 'started'; readonly token: number; readonly startedAt: number }
  | {
      readonly type: 'output'
      readonly token: number
      readonly stream: 'stdout' | 'stderr'
      readonly bytes: Uint8Array
    }
  | { readonly type: 'exit'; readonly exit: AttemptExit }
  /** What a pool process wrote past its channel: native code, or its last words. */
  | {
      readonly type: 'child-output'
      readonly child: number
      readonly stream: 'stdout' | 'stderr'
      readonly bytes: Uint8Array
    }
  /** A pool process and all that it started are gone. */
  | {
      readonly type: 'child-gone'
      readonly child: number
      readonly code: number | null
      readonly signal: string | null
      readonly lapsed: boolean
      readonly peakMemoryBytes: number
    }
