/** A cluster's history in a file: a line of JSON with its nodes, then one for each task, newest first. */
import { compileCheck } from '../../../api/validation.ts'
import { AppError } from '../../../base/errors.ts'
import { NodeViewSchema } from '../../../base/wire/cluster.ts'
import type { NodeInfo } from '../../../base/wire/cluster.ts'
import { HistoryTaskSchema } from '../../../base/wire/history.ts'
import type { HistoryTask } from '../../../base/wire/history.ts'

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
  const [first = '', ...rest] = text.split('\n').filter((line) => line.trim() !== '')
  const { nodes } = at(path, 1, () => {
    const header = JSON.parse(first) as { readonly nodes?: unknown } | null
    if (!Array.isArray(header?.nodes)) throw new Error('got no nodes, expected {"nodes": [...]}')
    header.nodes.forEach((node: unknown, index) => {
      checkNode(node, `nodes[${index}]`)
    })
    return { nodes: header.nodes as NodeInfo[] }
  })
  const tasks = rest.map((line, index) =>
    at(path, index + 2, () => {
      const task: unknown = JSON.parse(line)
      checkTask(task)
      return task as HistoryTask
    })
  )
  return { nodes, tasks }
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
