/** Why a task is where it is, in words and in figures: from the scheduler's explanation and the optimizer's prediction. Pure. */
import { formatTaskId } from '../base/ids.ts'
import type { NodeId } from '../base/ids.ts'
import type { Why } from '../base/wire/forecast.ts'
import type { Explanation } from '../scheduler/explain.ts'
import type { HistoryRow, Placement, Task } from '../scheduler/types.ts'
import type { PredictionDetail, TaskOutlook } from './ports.ts'

/** Of a task that has ended. */
export function whyEnded(row: HistoryRow, policy: string): Why {
  const verb = row.status === 'cancelled' || row.status === 'skipped' ? `was ${row.status}` : row.status
  const where = row.node === undefined ? '' : ` on node ${row.node}`
  const reason = row.error === undefined ? '' : `: ${row.error.message} (${row.error.code})`
  return {
    id: formatTaskId(row.id),
    status: row.status,
    reason: 'ended',
    message: `it ${verb}${where} after ${row.attempts} ${row.attempts === 1 ? 'attempt' : 'attempts'}${reason}`,
    policy,
    alarms: []
  }
}

/** Of a task that has not. `explanation` undefined: it is ending; `outlook` and `detail` undefined: not known. */
export function whyLive(
  task: Task,
  explanation: Explanation | undefined,
  outlook: TaskOutlook | undefined,
  detail: PredictionDetail | undefined,
  policy: string
): Why {
  const { predicted, eta, alarms = [] } = outlook ?? {}
  const nodes = nodesOf(explanation, detail)
  return {
    id: formatTaskId(task.id),
    status: task.status,
    reason: explanation?.type ?? 'ended',
    message: explanation === undefined ? 'it is ending' : messageOf(explanation, task),
    ...(explanation?.type === 'waiting-on' ? { waitingOn: explanation.tasks.map(formatTaskId) } : {}),
    ...(explanation?.type === 'in-line' ? { readyTasks: explanation.readyTasks } : {}),
    policy,
    ...(nodes.length === 0 ? {} : { nodes }),
    ...(predicted === undefined ? {} : { predicted }),
    ...(detail === undefined ? {} : figuresOf(detail)),
    ...(eta === undefined ? {} : { eta }),
    alarms: [...alarms]
  }
}

function figuresOf(
  detail: PredictionDetail
): Pick<Why, 'quantiles' | 'experts' | 'typicalMs' | 'contributions'> {
  return {
    quantiles: [...detail.quantiles],
    experts: [...detail.experts],
    typicalMs: detail.typicalMs,
    contributions: [...detail.contributions]
  }
}

function messageOf(explanation: Explanation, task: Task): string {
  switch (explanation.type) {
    case 'waiting-on':
      return `it waits for ${explanation.count} of its needs`
    case 'delayed':
      return delayOf(task, new Date(explanation.until).toISOString())
    case 'no-eligible-node':
      return 'no node may ever run it as it stands'
    case 'no-capacity':
      return 'every node that may run it is full, down, or left out for now'
    case 'in-line':
      return `a node has room; it is one of ${explanation.readyTasks} ready tasks`
    case 'placed':
      return `attempt ${explanation.placement.attempt} is on node ${explanation.placement.node}${copyOf(explanation.copy)}`
    case 'stopping':
      return `attempt ${explanation.placement.attempt} on node ${explanation.placement.node} was told to stop (${explanation.reason ?? 'unknown'})`
  }
}

/** A delay of the user's, or the back-off before the next attempt. */
function delayOf({ attempts, uncounted, lastError, spec }: Task, until: string): string {
  if (attempts === 0) return `it is not to start before ${until}`
  const next = `attempt ${attempts - uncounted + 1} of ${spec.retry.maxAttempts}`
  const after = lastError === undefined ? '' : `, after ${lastError.code}: ${lastError.message}`
  return `it backs off until ${until} before its retry (${next})${after}`
}

function copyOf(copy: Placement | undefined): string {
  return copy === undefined ? '' : `, and a copy of it (attempt ${copy.attempt}) on node ${copy.node}`
}

function nodesOf(
  explanation: Explanation | undefined,
  detail: PredictionDetail | undefined
): NonNullable<Why['nodes']> {
  const medians = new Map(detail?.nodes.map(({ node, medianMs }) => [node, medianMs]))
  const withMedian = (node: NodeId, verdict: string): NonNullable<Why['nodes']>[number] => {
    const medianMs = medians.get(node)
    return { node, verdict, ...(medianMs === undefined ? {} : { medianMs }) }
  }
  if (explanation === undefined) return []
  if ('nodes' in explanation) return explanation.nodes.map(({ node, verdict }) => withMedian(node, verdict))
  if ('placement' in explanation) {
    const chosen = explanation.placement.node
    const others = [...medians.keys()].filter((node) => node !== chosen)
    return [withMedian(chosen, 'chosen'), ...others.map((node) => withMedian(node, 'not chosen'))]
  }
  return []
}
