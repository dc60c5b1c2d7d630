/** Where and on what a report was made. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus } from 'node:os'
import { dirname } from 'node:path'
import type { Provenance } from '../../../optimizer/lab/text-report.ts'

/** As hexadecimal digits. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

/** The provenance of what runs now, at `root` (default: the folder of this package). */
export function provenanceOf(root: string | undefined = packageRoot()): Provenance {
  const cores = cpus()
  return {
    ...(root === undefined ? UNKNOWN : commitOf(root)),
    machine: `${cores.length} × ${cores[0]?.model.trim() ?? 'unknown'}, Node ${process.versions.node}`
  }
}

const UNKNOWN = { commit: 'unknown', dirty: null }

function packageRoot(): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve('dtss/package.json'))
  } catch {
    return undefined
  }
}

/** A repository around the package, as around `node_modules`, is somebody else's. */
function commitOf(root: string): Pick<Provenance, 'commit' | 'dirty'> {
  try {
    if (realpathSync(git(root, 'rev-parse', '--show-toplevel')) !== realpathSync(root)) return UNKNOWN
    return {
      commit: git(root, 'rev-parse', '--short', 'HEAD'),
      dirty: git(root, 'status', '--porcelain', '--untracked-files=no') !== ''
    }
  } catch {
    return UNKNOWN
  }
}

function git(cwd: string, ...args: readonly string[]): string {
  return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
}
