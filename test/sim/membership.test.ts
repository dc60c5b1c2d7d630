import { describe } from 'vitest'
import { checkSeeds } from './check-seeds.ts'

describe('five nodes that others join and leave, under the same faults', () => {
  checkSeeds(1, 30, { nodes: 5, faultMs: 25_000, tasks: 80 })
})

describe('a single node and its restarts', () => {
  checkSeeds(1, 5, { nodes: 1, faultMs: 15_000, tasks: 30 })
})
