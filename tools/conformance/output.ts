/**
 * What a script prints: its commands' own output and the nodes' log lines from the set level up. At level NONE nothing is
 * printed at all, not even by commands; errors are reported by other means then.
 */
import type { RaftLogger } from '../../consensus/config.ts'
import { ScriptError } from './datadriven.ts'

const LEVELS = ['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL', 'NONE'] as const
const NONE_LEVEL = LEVELS.length - 1

/** A buffer that is also the nodes' logger. */
export class Output implements RaftLogger {
  private text = ''
  private level = 0

  get quiet(): boolean {
    return this.level === NONE_LEVEL
  }

  /** Returns what was printed since the last call. */
  take(): string {
    const { text } = this
    this.text = ''
    return text
  }

  write(text: string): void {
    if (!this.quiet) this.text += text
  }

  /** Prints what `body` prints, indented by two spaces. */
  indent(body: () => void): void {
    const outer = this.text
    this.text = ''
    body()
    const lines = this.text.split('\n')
    if (lines.at(-1) === '') lines.pop()
    this.text = outer + lines.map((line) => `  ${line}\n`).join('')
  }

  /** Sets the lowest level that is printed, and returns a function that sets the old one again. */
  setLevel(name: string): () => void {
    const old = this.level
    const level = LEVELS.findIndex((known) => known === name.toUpperCase())
    if (level < 0) throw new CommandError(`log levels must be either of [${LEVELS.join(' ')}]`)
    this.level = level
    return () => {
      this.level = old
    }
  }

  debug(line: () => string): void {
    this.log(0, line)
  }

  info(line: () => string): void {
    this.log(1, line)
  }

  warning(line: () => string): void {
    this.log(2, line)
  }

  error(line: () => string): void {
    this.log(3, line)
  }

  private log(level: number, line: () => string): void {
    if (this.level <= level) this.text += `${LEVELS[level] ?? ''} ${line()}\n`
  }
}

/** A command that failed in a way that scripts may expect: its message is printed. */
export class CommandError extends ScriptError {}
