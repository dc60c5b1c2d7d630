import { statSync } from 'node:fs'
import { AppError } from '../../base/errors.ts'

/** Throws CONFIG_INVALID for what is no folder: a process that lists it could only die of that. */
export function checkHandlersFolder(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return
  throw invalidOption('handlers', folder, 'a folder that exists')
}

/** What a start was asked for and cannot be. */
export function invalidOption(option: string, got: string, expected: string): AppError {
  return new AppError('CONFIG_INVALID', `--${option}: got ${JSON.stringify(got)}, expected ${expected}`, {
    details: { field: option, got, expected }
  })
}
