/**
 * Runs attempts outside the Raft process. The real adapter talks to the node's supervisor process, which spawns them,
 * holds the lease deadline and kills the whole tree; the simulator's runs them in virtual time.
 *
 * 1. `start` is called at most once per token. For each start exactly one `onExit` follows, when nothing of the attempt
 *    runs any more, whatever the reason.
 * 2. Without a deadline in the future nothing starts, and at deadline − margin the supervisor kills what runs, by
 *    itself, also when this process hangs or is gone.
 * 3. `stop` asks first (SIGTERM, abort) and kills after the grace; stopping an unknown token does nothing.
 */
import type { FencingToken, Incarnation, TaskId } from '../../base/ids.ts'
import type { DurationMs, MonotonicMs, TimestampMs } from '../../base/units.ts'
import type { StopReason, TaskError } from '../../scheduler/types.ts'

export interface AttemptStart {
  readonly taskId: TaskId
  readonly token: FencingToken
  /** From 1. */
  readonly attempt: number
  readonly incarnation: Incarnation
  readonly name: string
  readonly executor: string
  readonly handler: string
  /** UTF-8 JSON. */
  readonly params: Uint8Array
  /** UTF-8 JSON; empty for none. */
  readonly input: Uint8Array
  /** Results of the dependencies, as UTF-8 JSON, by the name that the task gave them. */
  readonly needs: Readonly<Record<string, Uint8Array>>
  /** 0 for none; judged by the host on its monotonic clock. */
  readonly startToCloseMs: DurationMs
  readonly killGraceMs: DurationMs
  readonly isolation: 'process' | 'thread'
  readonly onLeaseLoss: 'kill' | 'continue'
}

export interface AttemptExit {
  readonly token: FencingToken
  /** `stopped`: it ended because it was told to (`stop`, timeout, lease); `reason` says why. */
  readonly outcome: 'succeeded' | 'failed' | 'stopped' | 'not-started'
  readonly reason: StopReason | 'lease' | undefined
  /** UTF-8 JSON; empty unless it succeeded. */
  readonly result: Uint8Array
  readonly error: TaskError | undefined
  /** Wall clock, for display and history only. */
  readonly startedAt: TimestampMs
  readonly finishedAt: TimestampMs
  readonly runMs: DurationMs
  readonly peakMemoryBytes: number
}

export interface AttemptHandlers {
  onStarted(token: FencingToken, startedAt: TimestampMs): void
  /** Output in the order in which it was read. The bytes may be kept. */
  onOutput(token: FencingToken, stream: 'stdout' | 'stderr', bytes: Uint8Array): void
  onExit(exit: AttemptExit): void
  /** The supervisor process is gone, and with it (by its own rule) every attempt. The node must end its incarnation. */
  onLost(error: unknown): void
}

export interface AttemptHost {
  /** What it can run: executors, and content hash by handler name. Known once started. */
  readonly offer: {
    readonly executors: readonly string[]
    readonly handlers: Readonly<Record<string, string>>
  }
  /** Kills what a predecessor left behind, then accepts attempts. */
  start(handlers: AttemptHandlers): Promise<void>
  begin(attempt: AttemptStart): void
  stop(token: FencingToken, reason: StopReason): void
  /** Moves the deadline of this incarnation's attempts. Deadlines only rise within an incarnation. */
  extendLease(incarnation: Incarnation, deadline: MonotonicMs): void
  /** Kills every attempt of the incarnation and resolves when all their trees are gone and reported. */
  endIncarnation(incarnation: Incarnation): Promise<void>
  close(): Promise<void>
}
