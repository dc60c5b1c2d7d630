import { isAbsolute } from 'node:path'

/** What a `shell` task asks for, from its `params`. */
export interface ShellParams {
  /** A line for the shell, or a program and its arguments, which no shell reads. */
  readonly command: string | readonly string[]
  /** Added to the inherited environment. Names that begin with `DTSS_` are reserved. */
  readonly env: Readonly<Record<string, string>>
  /** Absolute. Default: the attempt's scratch folder, which is removed after it. */
  readonly workingDirectory: string | undefined
  /** The shell of a command line, called with `-c`. Default `/bin/sh`. */
  readonly shell: string
}

const KNOWN = ['command', 'env', 'workingDirectory', 'shell']

/** The parameters that UTF-8 JSON holds, or in one sentence what is wrong with them. */
export function parseShellParams(json: Uint8Array): ShellParams | string {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json))
  } catch {
    return 'params are not valid JSON'
  }
  if (!isRecord(value)) return 'params must be an object'
  const unknown = Object.keys(value).find((key) => !KNOWN.includes(key))
  if (unknown !== undefined) return `params.${unknown} is unknown; expected ${KNOWN.join(', ')}`
  const { command, env = {}, workingDirectory, shell = '/bin/sh' } = value
  if (!isCommand(command)) return 'params.command must be a string or a non-empty array of strings'
  if (!isTextRecord(env)) return 'params.env must be an object of strings'
  const reserved = Object.keys(env).find((name) => name.startsWith('DTSS_') || !/^[^=\0]+$/.test(name))
  if (reserved !== undefined) return `params.env.${reserved} is not a name that a task may set`
  if (!isText(shell) || shell === '') return 'params.shell must be a path'
  if (workingDirectory === undefined) return { command, env, workingDirectory, shell }
  if (!isText(workingDirectory) || !isAbsolute(workingDirectory)) {
    return 'params.workingDirectory must be an absolute path'
  }
  return { command, env, workingDirectory, shell }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What the operating system can take: it ends text at a zero byte. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0')
}

function isTextRecord(value: unknown): value is Readonly<Record<string, string>> {
  return isRecord(value) && Object.values(value).every(isText)
}

function isCommand(value: unknown): value is string | readonly string[] {
  if (Array.isArray(value)) return value.length > 0 && value.every(isText) && value[0] !== ''
  return isText(value) && value !== ''
}
