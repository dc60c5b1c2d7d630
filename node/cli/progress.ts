/** Progress for whoever watches: a bar on a terminal, plain lines otherwise, nothing when the output is for a program. */
import { Presets, SingleBar } from 'cli-progress'
import { print, type CliContext } from './context.ts'

export interface Progress {
  /** `done` of the total; `note` says what was last. */
  update(done: number, note: string): void
  stop(): void
}

export function progressOf(context: CliContext, silent: boolean, total: number): Progress {
  if (silent) return { update: () => undefined, stop: () => undefined }
  if (context.stdout.isTTY !== true) {
    return {
      update: (done, note) => {
        print(context, `  ${String(done).padStart(String(total).length)}/${total}  ${note}`)
      },
      stop: () => undefined
    }
  }
  const format = '  {bar} {value}/{total}  {note}'
  const bar = new SingleBar({ format, hideCursor: true, clearOnComplete: false }, Presets.shades_classic)
  bar.start(total, 0, { note: '' })
  return {
    update: (done, note) => {
      bar.update(done, { note })
    },
    stop: () => {
      bar.stop()
    }
  }
}
