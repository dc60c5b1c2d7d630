import type { ChildProcess } from 'node:child_process'
import { subscribe } from 'node:diagnostics_channel'

/** Notices processes that handlers start, so that an attempt which leaves some behind is known to have. */
export interface ChildWatch {
  /** Whether any that was started still runs. */
  takeLeft(): boolean
}

/** Watches this thread's `child_process` from now on. */
export function watchChildren(): ChildWatch {
  const left = new Set<ChildProcess>()
  subscribe('child_process', (message) => {
    const { process: child } = message as { process: ChildProcess }
    left.add(child)
    child.once('exit', () => left.delete(child))
    child.once('error', () => left.delete(child))
  })
  return { takeLeft: () => left.size > 0 }
}
