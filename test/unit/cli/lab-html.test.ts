import { expect, test } from 'vitest'
import { htmlReport } from '../../../node/cli/lab/html.ts'

const EVIL = '</script><script>alert("1")</script>&'

test('names from traces stay text wherever they stand, and the JSON is what it was', () => {
  const json = { trace: EVIL }
  const page = htmlReport(
    {
      report: { trace: EVIL, load: 1, seeds: [0], base: 'fifo-fit', policies: [] },
      provenance: { commit: EVIL, dirty: false, machine: EVIL },
      notes: [EVIL],
      json
    },
    [{ id: 'jct', title: EVIL, svg: '<svg width="1"></svg>' }]
  )
  expect(page.match(/<script/g)).toHaveLength(1)
  expect(page).not.toContain('alert("1")</script>')
  const [, data = ''] = /id="report">(.*?)<\/script>/.exec(page) ?? []
  expect(JSON.parse(data)).toEqual(json)
})

test('the table can be scrolled by keyboard, and plots have names', () => {
  const page = htmlReport(
    {
      report: { trace: 'log', load: 1, seeds: [0], base: 'fifo-fit', policies: [] },
      provenance: { commit: 'c', dirty: null, machine: 'm' },
      notes: [],
      json: {}
    },
    [{ id: 'jct', title: 'A "title"', svg: '<svg width="1"></svg>' }]
  )
  expect(page).toContain('<div class="table" tabindex="0" role="region"')
  expect(page).toContain('<svg role="img" aria-label="A &quot;title&quot;" width="1">')
})
