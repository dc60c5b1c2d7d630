/** A cluster's history in a file: a line of JSON with its nodes, then one for each task, newest first. */
import { compileCheck } from '../../../api/validation.ts'
import { AppError } from '../../../base/errors.ts'
import { NodeViewSchema } from '../../../base/wire/cluster.ts'
import type { NodeInfo } from '../../../base/wire/cluster.ts'
import { HistoryTaskSchema } from '../../../base/wire/history.ts'
import type { HistoryTask } from '../../../base/wire/history.ts'
import { LONGEST_S } from '../../../optimizer/lab/malformed.ts'
import { findCycle } from '../../../optimizer/sim/cycle.ts'

export interface RecordedHistory {
  readonly nodes: readonly NodeInfo[]
  /** Newest first. */
  readonly tasks: readonly HistoryTask[]
}

export function formatHistoryFile({ nodes, tasks }: RecordedHistory): string {
  return [{ nodes }, ...tasks].map((value) => `${JSON.stringify(value)}\n`).join('')
}

/** Throws `INVALID_REQUEST` with file and line for what is not such a file. */
export function parseHistoryFile(text: string, path: string): RecordedHistory {
  const checkNode = compileCheck(NodeViewSchema, 'node')
  const checkTask = compileCheck(HistoryTaskSchema, 'task')
  const lines = text
    // Some editors begin files with a byte order mark.
    .replace(/^\ufeff/, '')
    .split('\n')
    .flatMap((line, index) => (line.trim() === '' ? [] : [[line, index + 1] as const]))
  const [first = ['', 1] as const, ...rest] = lines
  const { nodes } = at(path, first[1], () => {
    if (first[0] === '') throw new Error('got nothing, expected {"nodes": [...]}')
    const header = JSON.parse(first[0]) as { readonly nodes?: unknown } | null
    if (!Array.isArray(header?.nodes)) throw new Error('got no nodes, expected {"nodes": [...]}')
    header.nodes.forEach((node: unknown, index) => {
      checkNode(node, `nodes[${index}]`)
    })
    return { nodes: header.nodes as NodeInfo[] }
  })
  const tasks = rest.map(([content, line]) =>
    at(path, line, () => {
      const task: unknown = JSON.parse(content)
      checkTask(task)
      checkTimes(task as HistoryTask)
      return task as HistoryTask
    })
  )
  const fail = (index: number, message: string): void => {
    at(path, rest[index]?.[1] ?? 1, () => {
      throw new Error(message)
    })
  }
  checkIds(tasks, fail)
  checkNeeds(tasks, fail)
  return { nodes, tasks }
}

const LONGEST_MS = LONGEST_S * 1000
const LENGTHS = ['runMs', 'limitMs'] as const
const MOMENTS = ['submittedAt', 'notBefore', 'readyAt', 'startedAt', 'finishedAt'] as const

/** Times that a schema lets pass, and with which a simulation would not end. */
function checkTimes(task: HistoryTask): void {
  for (const field of LENGTHS) {
    if (task[field] > LONGEST_MS) throw new Error(`${field}: got ${task[field]}, expected up to 100 years`)
  }
  for (const field of MOMENTS) {
    const at = task[field] ?? 0
    if (at > 2 * LONGEST_MS) throw new Error(`${field}: got ${at}, expected a time within 200 years of 1970`)
  }
}

/** A task that is told twice would run twice. */
function checkIds(tasks: readonly HistoryTask[], fail: (index: number, message: string) => void): void {
  const seen = new Set<string>()
  tasks.forEach(({ id }, index) => {
    if (seen.has(id)) fail(index, `id: got ${id} again, expected each task once`)
    seen.add(id)
  })
}

/** No task may wait for itself. */
function checkNeeds(tasks: readonly HistoryTask[], fail: (index: number, message: string) => void): void {
  const indexOf = new Map(tasks.map(({ id }, index) => [id, index]))
  const cycle = findCycle(tasks.map(({ needs }) => needs.flatMap((need) => indexOf.get(need) ?? [])))
  if (cycle === undefined) return
  const ids = cycle.map((index) => tasks[index]?.id ?? '')
  fail(cycle[0] ?? 0, `needs: got the cycle ${ids.join(' → ')}, expected none`)
}

function at<T>(path: string, line: number, read: () => T): T {
  try {
    return read()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new AppError('INVALID_REQUEST', `${path}: line ${line}: ${message}`, {
      cause: error,
      details: { field: 'file', got: path, line }
    })
  }
}
