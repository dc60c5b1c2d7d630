/**
 * Starts the process of a `shell` attempt. It leads a session and process group of its own, inherits no file but its
 * three streams, and of the environment only what is allowed. Its input comes on standard input and in files:
 *
 * - `DTSS_TASK_ID`, `DTSS_TASK_NAME`, `DTSS_ATTEMPT`, `DTSS_FENCING_TOKEN`
 * - `DTSS_INPUT_FILE`, and `DTSS_INPUT` when it is at most 8 KiB: the input, JSON
 * - `DTSS_NEEDS_FILE`: the results of the dependencies, one JSON object by name
 * - `DTSS_RESULT_FILE`: where the command may write its result, JSON
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatTaskId } from '../../../base/ids.ts'
import { KiB } from '../../../base/units.ts'
import type { AttemptStart } from '../../../runtime/ports/attempt-host.ts'
import type { ShellParams } from './params.ts'

const INPUT_IN_ENVIRONMENT_BYTES = 8 * KiB

/** The files of one attempt. */
export interface Scratch {
  readonly folder: string
  readonly resultFile: string
  readonly env: Readonly<Record<string, string>>
  remove(): void
}

/** Makes the scratch folder of an attempt and writes its input there. */
export function createScratch(parent: string, attempt: AttemptStart): Scratch {
  const folder = join(parent, String(attempt.token))
  const files = join(folder, '.dtss')
  mkdirSync(files, { recursive: true, mode: 0o700 })
  const inputFile = join(files, 'input.json')
  const needsFile = join(files, 'needs.json')
  const resultFile = join(files, 'result.json')
  writeFileSync(inputFile, attempt.input)
  writeFileSync(needsFile, needsJson(attempt.needs))
  const input: Record<string, string> =
    attempt.input.length > 0 && attempt.input.length <= INPUT_IN_ENVIRONMENT_BYTES
      ? { DTSS_INPUT: Buffer.from(attempt.input).toString('utf8') }
      : {}
  return {
    folder,
    resultFile,
    env: {
      ...input,
      DTSS_TASK_ID: formatTaskId(attempt.taskId),
      DTSS_TASK_NAME: attempt.name,
      DTSS_ATTEMPT: String(attempt.attempt),
      DTSS_FENCING_TOKEN: String(attempt.token),
      DTSS_INPUT_FILE: inputFile,
      DTSS_NEEDS_FILE: needsFile,
      DTSS_RESULT_FILE: resultFile
    },
    remove: () => {
      rmSync(folder, { recursive: true, force: true, maxRetries: 2 })
    }
  }
}

/** Starts it. As `spawn` does, a failure is told by the `error` event and a missing pid. */
export function spawnCommand(
  params: ShellParams,
  scratch: Scratch,
  env: Readonly<Record<string, string>>
): ChildProcess {
  const [file, ...args] =
    typeof params.command === 'string' ? [params.shell, '-c', params.command] : params.command
  return spawn(file ?? '', args, {
    cwd: params.workingDirectory ?? scratch.folder,
    env,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe']
  })
}

/** Why a spawn failed, and whether that is the node's trouble (nothing began, another node may do) or the task's. */
export function spawnFailure(
  error: NodeJS.ErrnoException,
  params: ShellParams
): { readonly ofNode: boolean; readonly message: string } {
  const code = error.code ?? 'unknown error'
  const folder = params.workingDirectory
  if (folder !== undefined && statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    return { ofNode: false, message: `${code}: the working directory ${folder} is not a folder` }
  }
  const program = typeof params.command === 'string' ? params.shell : (params.command[0] ?? '')
  const ofNode = ['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE'].includes(code)
  return { ofNode, message: `${code}: ${program} could not be started` }
}

function needsJson(needs: Readonly<Record<string, Uint8Array>>): string {
  const parts = Object.entries(needs).map(
    ([name, bytes]) =>
      `${JSON.stringify(name)}:${bytes.length === 0 ? 'null' : Buffer.from(bytes).toString()}`
  )
  return `{${parts.join(',')}}`
}
