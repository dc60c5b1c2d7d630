/** A folder of its own for each test of a lab command, and what the command prints in it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, vi } from 'vitest'

export interface LabOutput {
  /** Of the test that runs. */
  readonly folder: string
  /** Lines of standard output and of standard error. */
  readonly out: string[]
  readonly errors: string[]
}

/** To be called at the top of a test file. */
export function labOutput(): LabOutput {
  const out: string[] = []
  const errors: string[] = []
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dtss-lab-'))
    vi.spyOn(console, 'log').mockImplementation((text: unknown) => out.push(String(text)))
    vi.spyOn(console, 'error').mockImplementation((text: unknown) => errors.push(String(text)))
  })
  afterEach(() => {
    vi.restoreAllMocks()
    out.length = 0
    errors.length = 0
    rmSync(folder, { recursive: true })
  })
  return {
    get folder() {
      return folder
    },
    out,
    errors
  }
}
