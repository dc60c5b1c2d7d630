/** How the end of a command becomes an attempt's outcome. */
import { readFileSync, statSync } from 'node:fs'
import { LIMITS } from '../../../base/limits.ts'
import type { TaskError } from '../../../scheduler/types.ts'

export type ShellOutcome =
  | { readonly outcome: 'succeeded'; readonly result: Uint8Array }
  | { readonly outcome: 'failed'; readonly error: TaskError }

/** The last lines of a command's output, of which only the end is kept. */
export interface Tail {
  push(bytes: Uint8Array): void
  /** The last line that is not blank; undefined when there is none or it is longer than `maxBytes`. */
  lastLine(): string | undefined
}

/** A tail that remembers at least `maxBytes`. */
export function createTail(maxBytes: number): Tail {
  let kept = Buffer.alloc(0)
  let cut = false
  return {
    push: (bytes) => {
      const joined = Buffer.concat([kept, bytes])
      // Room for a line end besides the line.
      const excess = joined.length - maxBytes - 2
      cut ||= excess > 0
      kept = excess > 0 ? Buffer.from(joined.subarray(excess)) : joined
    },
    lastLine: () => {
      const text = kept.toString('utf8').trimEnd()
      if (text === '') return undefined
      const start = text.lastIndexOf('\n') + 1
      // The beginning of the only line was dropped: what is left is not the line.
      return start === 0 && cut ? undefined : text.slice(start).trimStart()
    }
  }
}

/**
 * Exit code 0 succeeds. Its result is the JSON in the result file when the command wrote one, else the last line of
 * standard output when that is JSON, else none.
 */
export function shellOutcome(
  exit: { readonly code: number | null; readonly signal: string | null },
  resultFile: string,
  stdout: Tail,
  stderr: Tail
): ShellOutcome {
  if (exit.signal !== null) return failed('SIGNALLED', `ended by ${exit.signal}`, true)
  if (exit.code !== 0) {
    const lastWords = stderr.lastLine()?.slice(0, 500)
    const message = `exit code ${exit.code}`
    return failed('EXIT_CODE', lastWords === undefined ? message : `${message}: ${lastWords}`, true)
  }
  const sizeBytes = statSync(resultFile, { throwIfNoEntry: false })?.size ?? 0
  if (sizeBytes > LIMITS.taskResultBytes) return tooLarge(sizeBytes)
  if (sizeBytes > 0) {
    const bytes = readFileSync(resultFile)
    if (!isJson(bytes.toString('utf8'))) {
      return failed('RESULT_INVALID', 'the file at DTSS_RESULT_FILE does not hold valid JSON', false)
    }
    return { outcome: 'succeeded', result: bytes }
  }
  const line = stdout.lastLine()
  const result = line !== undefined && isJson(line) ? Buffer.from(line) : Buffer.alloc(0)
  return result.length > LIMITS.taskResultBytes
    ? tooLarge(result.length)
    : { outcome: 'succeeded', result: new Uint8Array(result) }
}

function tooLarge(sizeBytes: number): ShellOutcome {
  const message = `the result has ${sizeBytes} bytes, at most ${LIMITS.taskResultBytes} are kept`
  return failed('RESULT_TOO_LARGE', message, false)
}

function failed(code: string, message: string, retryable: boolean): ShellOutcome {
  return { outcome: 'failed', error: { code, message, retryable } }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
