/** How a benchmark tells a bad option or trace: as `dtss` does. */
import { AppError } from '../base/errors.ts'

const MISUSE = 2

/** Tells the error and returns the exit code. What is no `AppError` is a bug, and is thrown on. */
export function reportMisuse(error: unknown, argv: readonly string[]): number {
  if (!(error instanceof AppError)) throw error
  const { code, message, details } = error
  console.error(`bench: ${message} (${code})`)
  if (argv.includes('--json'))
    console.log(JSON.stringify({ ok: false, error: { code, message, ...details } }))
  return MISUSE
}
