/** What an estimator hears of attempts that are over unheard. */
import { expect, test } from 'vitest'
import { EstimatorFeed } from '../../../../node/optimizer/estimator-feed.ts'
import { nodeId } from '../../../../base/ids.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import { viewOf } from '../../../../optimizer/guard/history.ts'
import { plainStatistics } from '../../../../optimizer/lab/plain-statistics.ts'
import { LiveNode } from '../../../../optimizer/sim/view.ts'
import { finished } from '../../optimizer/guard/fixture.ts'

const host = new LiveNode({
  ...{ id: nodeId(1), labels: {}, zone: '', profile: 'any', slots: 8, resources: {}, speeds: {} }
})

test('attempts that are not among those that run are over, and what they took is not known', () => {
  const heard: unknown[] = []
  const estimator: Estimator = {
    ...plainStatistics(),
    placed: () => undefined,
    observe: ({ task, node, end }) => heard.push([task.id, node, end])
  }
  const feed = new EstimatorFeed(estimator, () => 0)
  const [gone, alive] = [1, 2].map((id) => viewOf(finished(id)))
  feed.runs(gone!, host, 0)
  feed.runs(alive!, host, 0)
  feed.reconcile([{ task: alive!, node: host }])
  expect(heard).toEqual([[1, 1, 'not-started']])
  feed.reconcile([{ task: alive!, node: host }])
  expect(heard).toHaveLength(1)
})
