/** The error for a trace that cannot be read: where, which field, what was got and what was expected. */
import { AppError } from '../../base/errors.ts'

export interface Malformation {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly field: string
  readonly got: unknown
  readonly expected: string
}

/** An `INVALID_REQUEST` that names file, line, field, got and expected. */
export function malformed(at: Malformation): AppError {
  const shown: unknown = typeof at.got === 'string' ? at.got.slice(0, 80) : at.got
  const got = shown === undefined ? 'nothing' : JSON.stringify(shown)
  return new AppError(
    'INVALID_REQUEST',
    `${at.file}:${at.line}: field ${at.field}: got ${got}, expected ${at.expected}`,
    { details: { ...at } }
  )
}
