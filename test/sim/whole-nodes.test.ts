import { describe } from 'vitest'
import { checkSeeds } from './check-seeds.ts'

describe('three nodes under crashes, pauses, partitions, full disks and wrong clocks', () => {
  checkSeeds(1, 60, { nodes: 3, faultMs: 20_000, tasks: 60 })
})
