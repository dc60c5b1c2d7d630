import { subscribe } from 'node:diagnostics_channel'
import { MARK_VARIABLE, readMark, readProcessTable, readStartTicks } from '../../supervisor/process-table.ts'

/** Notices when an attempt leaves processes behind that its handler started. */
export interface ChildWatch {
  /** Whether any of them, or of their descendants, still runs; asked at the end of each attempt. */
  takeLeft(): boolean
}

/** Watches this process. An attempt that starts none, as most do, costs nothing. */
export function watchChildren(): ChildWatch {
  let spawned = false
  subscribe('child_process', () => {
    spawned = true
  })
  const mark = process.env[MARK_VARIABLE]
  const startTicks = readStartTicks(process.pid)
  const anyLeft = (): boolean =>
    readProcessTable().some(
      (other) =>
        other.pid !== process.pid &&
        other.startTicks >= startTicks &&
        (other.session === process.pid || readMark(other.pid) === mark)
    )
  return {
    takeLeft: () => {
      if (!spawned) return false
      spawned = false
      return anyLeft()
    }
  }
}
