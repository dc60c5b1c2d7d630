import type { ChildProcess } from 'node:child_process'
import type { AttemptTable, Effect, Ending } from '../../runtime/supervisor/attempt-table.ts'
import type { Channel } from './channel.ts'
import type { FromSupervisor } from './protocol.ts'
import type { Tree } from './tree-reaper.ts'

/** A process tree and what it is for. Keys: `a<token>` for attempts, `p<child>` for pool processes. */
export interface Unit {
  readonly key: string
  /** Undefined when nothing could be spawned. */
  tree: Tree | undefined
  /** All of it is gone; calls back when it is ready to be reported. */
  settle(done: () => void): void
  report(ending: Ending): void
}

/** What units need of the supervisor. */
export interface UnitHost {
  readonly channel: Channel<FromSupervisor>
  /** The environment of a new process tree. */
  environment(key: string): Record<string, string>
  /** From now on effects for its key reach the unit. */
  register(unit: Unit): void
  /** Follows the unit's process, which runs; its end is noticed here. */
  adopt(unit: Unit, child: ChildProcess): void
  perform(effects: readonly Effect<string>[]): void
  readonly table: AttemptTable<string>
}
