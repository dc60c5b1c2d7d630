/**
 * Executions of scientific workflows (WfCommons' WfInstances), one JSON object a line: parsing.
 *
 * `{id, app, wms, tasks: [{n, p, t, in, out, c, m}]}`: class, parents as [index, bytes], run time in seconds (0 or
 * absent for a few), bytes in and out, cores, peak memory in bytes.
 */
import { findCycle } from '../sim/cycle.ts'
import { checkTime, empty, malformed } from './malformed.ts'
import type { Fail } from './malformed.ts'
import { parseObject } from './tpch.ts'

interface WorkflowTask {
  readonly name: string
  /** Index of the parent, bytes that come from it. */
  readonly parents: readonly (readonly [number, number])[]
  readonly runS: number
  readonly inputBytes: number
  /** 0 when unknown. */
  readonly memoryBytes: number
  /** Absent or 0 when unknown. */
  readonly cores?: number
}

export interface Workflow {
  readonly id: string
  readonly app: string
  readonly tasks: readonly WorkflowTask[]
}

/** Parses the lines of a file. Throws an `AppError` that names file, line and field for a malformed one. */
export function parseWorkflows(lines: Iterable<string>, file: string): Workflow[] {
  const workflows: Workflow[] = []
  let line = 0
  for (const text of lines) {
    line++
    if (text.trim() !== '') workflows.push(parseWorkflow(text, file, line))
  }
  if (workflows.length === 0) throw empty(file, 'workflow')
  return workflows
}

function parseWorkflow(text: string, file: string, line: number): Workflow {
  const fail: Fail = (field, got, expected) => malformed({ file, line, field, got, expected })
  const { id, app, tasks, workflow, schemaVersion } = parseObject(text, fail)
  if (workflow !== undefined) {
    throw fail(
      'workflow',
      `WfFormat ${String(schemaVersion)}`,
      'none: a line has {id, app, tasks: [{n, p, t}]}'
    )
  }
  if (typeof id !== 'string') throw fail('id', id, 'a string')
  if (!Array.isArray(tasks) || tasks.length === 0) throw fail('tasks', tasks, 'a non-empty array')
  const parsed = tasks.map((task: unknown, index) => parseTask(task, `tasks[${index}]`, tasks.length, fail))
  const cycle = findCycle(parsed.map(({ parents }) => parents.map(([parent]) => parent)))
  if (cycle !== undefined) throw fail(`tasks[${cycle[0] ?? 0}].p`, cycle, 'no cycle')
  return { id, app: typeof app === 'string' ? app : '', tasks: parsed }
}

function parseTask(value: unknown, path: string, count: number, fail: Fail): WorkflowTask {
  if (typeof value !== 'object' || value === null) throw fail(path, value, 'an object')
  const task = value as Record<string, unknown>
  const name = task['n']
  if (typeof name !== 'string') throw fail(`${path}.n`, name, 'a string')
  const parents = task['p'] ?? []
  if (!Array.isArray(parents)) throw fail(`${path}.p`, parents, 'an array of [index, bytes]')
  const amount = (field: string): number => {
    const got = task[field] ?? 0
    return checkAmount(got, `${path}.${field}`, fail)
  }
  return {
    name,
    parents: parents.map((parent: unknown, index) => {
      const [at, bytes] = Array.isArray(parent) ? (parent as unknown[]) : []
      if (typeof at !== 'number' || !Number.isInteger(at) || at < 0 || at >= count) {
        throw fail(`${path}.p[${index}]`, parent, '[task index, bytes]')
      }
      return [at, checkAmount(bytes ?? 0, `${path}.p[${index}]`, fail)] as const
    }),
    runS: checkTime(task['t'] ?? 0, `${path}.t`, 1, fail),
    inputBytes: amount('in'),
    memoryBytes: amount('m'),
    cores: amount('c')
  }
}

function checkAmount(value: unknown, field: string, fail: Fail): number {
  if (typeof value === 'number' && value >= 0 && value < Infinity) return value
  throw fail(field, value, 'a number ≥ 0')
}
