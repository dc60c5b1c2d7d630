/** The task of a command line or a file: options become the fields of a `TaskRequest`; the server judges the whole. */
import { readFile } from 'node:fs/promises'
import type { TaskRequest } from '../../client/index.ts'
import { UsageError } from './context.ts'
import type { CliContext } from './context.ts'

/** The options that describe one task. */
export interface TaskOptions {
  readonly shell?: string
  readonly js?: string
  readonly input?: string
  readonly name?: string
  readonly env?: readonly string[]
  readonly cwd?: string
  readonly needs?: string
  readonly priority?: string
  readonly attempts?: string
  readonly timeout?: string
  readonly delay?: string
  readonly deadline?: string
  readonly tenant?: string
  readonly idempotent?: boolean
}

/** The task that the options describe. */
export function taskOfOptions(options: TaskOptions): TaskRequest {
  const { shell, js, name, cwd, needs, tenant, idempotent } = options
  if (shell !== undefined && js !== undefined)
    throw new UsageError('--shell, --js: got both, expected one of them')
  return {
    ...(shell === undefined ? {} : { command: shell }),
    ...(js === undefined ? {} : { handler: js }),
    ...(options.input === undefined ? {} : { input: jsonOf(options.input, '--input') }),
    ...(name === undefined ? {} : { name }),
    ...(options.env === undefined ? {} : { env: environmentOf(options.env) }),
    ...(cwd === undefined ? {} : { workingDirectory: cwd }),
    ...(needs === undefined ? {} : { needs: needs.split(',') }),
    ...(options.priority === undefined ? {} : { priority: integerOf(options.priority, '--priority') }),
    ...(options.attempts === undefined
      ? {}
      : { retry: { maxAttempts: integerOf(options.attempts, '--attempts') } }),
    ...(options.timeout === undefined ? {} : { timeouts: { startToCloseMs: durationOf(options.timeout) } }),
    ...(options.delay === undefined ? {} : { delayMs: durationOf(options.delay) }),
    ...(options.deadline === undefined ? {} : deadlineOf(options.deadline)),
    ...(tenant === undefined ? {} : { tenant }),
    ...(idempotent === undefined ? {} : { idempotent })
  }
}

/** What a file (`-`: standard input) holds: one task or an array of them, still unchecked. */
export async function tasksOfFile(context: CliContext, file: string): Promise<TaskRequest | TaskRequest[]> {
  const value = jsonOf(await textOf(context, file), file === '-' ? 'standard input' : file)
  if (typeof value === 'object' && value !== null) return value
  throw new UsageError(`${file}: got ${JSON.stringify(value)}, expected a task, or an array of tasks`)
}

async function textOf(context: CliContext, file: string): Promise<string> {
  if (file !== '-') {
    try {
      return await readFile(file, 'utf8')
    } catch (error) {
      throw new UsageError(`${file}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of context.stdin)
    text += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
  return text
}

function jsonOf(text: string, source: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageError(
      `${source}: expected JSON: ${error instanceof Error ? error.message : String(error)}`
    )
  }
}

function environmentOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw new UsageError(`--env: got ${JSON.stringify(pair)}, expected NAME=value`)
      return [pair.slice(0, at), pair.slice(at + 1)]
    })
  )
}

function integerOf(text: string, option: string): number {
  if (!/^-?[0-9]{1,9}$/.test(text))
    throw new UsageError(`${option}: got ${JSON.stringify(text)}, expected an integer`)
  return Number(text)
}

/** What has a date in it is a point of time, all else a length of time from now. */
function deadlineOf(text: string): { deadlineAt: string } | { deadlineMs: number | string } {
  return text.includes('T') ? { deadlineAt: text } : { deadlineMs: durationOf(text) }
}

/** Digits alone are milliseconds; everything else the server reads. */
function durationOf(text: string): number | string {
  return /^[0-9]+$/.test(text) ? Number(text) : text
}
