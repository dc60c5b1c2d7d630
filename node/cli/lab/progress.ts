/** Progress of long runs on stderr: a bar on a terminal, a plain line now and then elsewhere. */
import { SingleBar } from 'cli-progress'
import type { Progress } from '../../../optimizer/lab/protocol.ts'

export interface ProgressDisplay {
  update(progress: Progress): void
  stop(): void
}

const LINE_EVERY_MS = 10_000

/** A display for `runs` runs. `write` takes plain lines. */
export function progressDisplay(
  runs: number,
  isTerminal: boolean,
  write: (line: string) => void,
  nowMs: () => number
): ProgressDisplay {
  return isTerminal ? bar(runs) : plainLines(runs, write, nowMs)
}

function done({ run, finishedTasks, totalTasks }: Progress): number {
  return run + (totalTasks === 0 ? 0 : finishedTasks / totalTasks)
}

function bar(runs: number): ProgressDisplay {
  const display = new SingleBar({
    format: '{bar} {percentage} % | {policy} | {eta_formatted}',
    stream: process.stderr,
    clearOnComplete: true,
    // A signal ends the process at once (`interruptible.ts`): whatever was changed of the terminal would stay so.
    gracefulExit: false,
    hideCursor: false,
    linewrap: true
  })
  display.start(runs, 0, { policy: '' })
  return {
    update: (progress) => {
      display.update(done(progress), { policy: progress.policy })
    },
    stop: () => {
      display.stop()
    }
  }
}

function plainLines(runs: number, write: (line: string) => void, nowMs: () => number): ProgressDisplay {
  let last = nowMs()
  return {
    update: (progress) => {
      if (nowMs() - last < LINE_EVERY_MS) return
      last = nowMs()
      write(`${Math.floor((100 * done(progress)) / runs)} % ${progress.policy}`)
    },
    stop: () => undefined
  }
}
