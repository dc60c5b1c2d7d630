import { AppError } from '../../base/errors.ts'

/** Codes of the operating system that mean: no room, try again when there is some. */
const FULL = new Set(['ENOSPC', 'EDQUOT'])

/** What the operating system reported, as `STORAGE_FULL` or `STORAGE_FAILED`. */
export function storageError(path: string, operation: string, cause: unknown): AppError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new AppError(FULL.has(code) ? 'STORAGE_FULL' : 'STORAGE_FAILED', `${operation} ${path}: ${reason}`, {
    cause,
    details: { path, operation, code }
  })
}
