/**
 * Executions of scientific workflows (WfCommons' WfInstances), one JSON object a line: parsing.
 *
 * `{id, app, wms, tasks: [{n, p, t, in, out, c, m}]}`: class, parents as [index, bytes], run time in seconds (0 or
 * absent for a few), bytes in and out, cores, peak memory in bytes.
 */
import { malformed } from './malformed.ts'
import { parseObject } from './tpch.ts'

interface WorkflowTask {
  readonly name: string
  /** Index of the parent, bytes that come from it. */
  readonly parents: readonly (readonly [number, number])[]
  readonly runS: number
  readonly inputBytes: number
  /** 0 when unknown. */
  readonly memoryBytes: number
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
  return workflows
}

function parseWorkflow(text: string, file: string, line: number): Workflow {
  const fail = (field: string, got: unknown, expected: string): Error =>
    malformed({ file, line, field, got, expected })
  const { id, app, tasks } = parseObject(text, fail)
  if (typeof id !== 'string') throw fail('id', id, 'a string')
  if (!Array.isArray(tasks) || tasks.length === 0) throw fail('tasks', tasks, 'a non-empty array')
  return {
    id,
    app: typeof app === 'string' ? app : '',
    tasks: tasks.map((task: unknown, index) => parseTask(task, `tasks[${index}]`, tasks.length, fail))
  }
}

function parseTask(
  value: unknown,
  path: string,
  count: number,
  fail: (field: string, got: unknown, expected: string) => Error
): WorkflowTask {
  if (typeof value !== 'object' || value === null) throw fail(path, value, 'an object')
  const task = value as Record<string, unknown>
  const name = task['n']
  if (typeof name !== 'string') throw fail(`${path}.n`, name, 'a string')
  const parents = task['p'] ?? []
  if (!Array.isArray(parents)) throw fail(`${path}.p`, parents, 'an array of [index, bytes]')
  const amount = (field: string): number => {
    const got = task[field] ?? 0
    if (typeof got !== 'number' || !(got >= 0)) throw fail(`${path}.${field}`, got, 'a number ≥ 0')
    return got
  }
  return {
    name,
    parents: parents.map((parent: unknown, index) => {
      const [at, bytes] = Array.isArray(parent) ? (parent as unknown[]) : []
      if (typeof at !== 'number' || !Number.isInteger(at) || at < 0 || at >= count) {
        throw fail(`${path}.p[${index}]`, parent, '[task index, bytes]')
      }
      return [at, typeof bytes === 'number' ? bytes : 0] as const
    }),
    runS: amount('t'),
    inputBytes: amount('in'),
    memoryBytes: amount('m')
  }
}
