import { expect, test } from 'vitest'
import { timestampMs } from '../../../../base/units.ts'
import { liveArrivals } from '../../../../node/optimizer/live-arrivals.ts'
import { Machine, spec } from '../../../helpers/scheduler.ts'

test('of each task that has not ended it says when it could have been placed at the earliest, but for its needs', async () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec(), spec({ notBefore: timestampMs(machine.now + 60_000) })])
  const arrivals = [...(await liveArrivals(machine.state))]
  const [first, second] = [...machine.state.tasks.values()]
  expect(arrivals).toEqual([first!.submittedAt, second!.spec.notBefore])
  expect(arrivals[1]! - arrivals[0]!).toBeGreaterThan(50_000)
})
