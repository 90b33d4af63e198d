// Pasting and dropping what other programs give: everything is kept, or named as left out.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { chromium } from "playwright-core";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { editor, give, outline, paste, saved } from "./editor.mjs";

const clipboard = (name) => readFileSync(new URL(`clipboard/${name}`, import.meta.url), "utf8");

describe("pasting", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);
  let rooms = 0;

  const write = async () => {
    rooms += 1;
    await server.createDocument(`paste-${rooms}`);
    const page = await browser.open(`${server.url}/?document=paste-${rooms}&name=Ana`);
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await saved(page);
    await editor(page).click();
    return page;
  };
  // A browser pastes after the key was pressed, and the page draws its notice after the text.
  const reads = (page, expected) =>
    until("the text is there", async () => assert.deepEqual(await outline(page), expected) ?? true);
  const notice = (page) => page.getByTestId("editor-notice").allInnerTexts();
  const says = (page, expected) =>
    until("the notice is there", async () => assert.deepEqual(await notice(page), expected) ?? true);
  const pasted = async (formats) => {
    const page = await write();
    await paste(page, formats);
    return page;
  };

  it("keeps a document of Word with its lists and its table, and names its comment and its picture", async () => {
    const page = await pasted({ "text/html": clipboard("word.html"), "text/plain": "Quarterly report …" });
    await reads(page, [
      "heading level=1(Quarterly report)",
      "paragraph textAlign=center([bold:Confidential], see [link href=https://example.com/report:the ]" +
        "[link href=https://example.com/report,italic:full][link href=https://example.com/report: report].)",
      "paragraph(Sales grew by [underline:twelve] percent, [strike:not ten], with H[subscript:2]O at 10[superscript:3]" +
        " and [highlight:one marked word].)",
      "bulletList(listItem(paragraph(North)bulletList(listItem(paragraph(Coast))))listItem(paragraph(South)))",
      "orderedList(listItem(paragraph(First step))listItem(paragraph(Second step)))",
      "table(tableRow(tableCell(paragraph([bold:Region]))tableCell(paragraph([bold:Sales])))" +
        "tableRow(tableCell(paragraph(North))tableCell(paragraph textAlign=right(120))))",
      "paragraph(\u00a0)",
      "paragraph(The end of the report.)",
    ]);
    await says(page, ["The paste left out: 1 comment, 1 picture that could not be read."]);
    await saved(page);
  });

  it("keeps a document of LibreOffice Writer with its footnote and its picture, whose bytes are in the RTF", async () => {
    const page = await write();
    await give(page, "paste", [], {
      "text/html": clipboard("libreoffice-writer.html"),
      "text/plain": clipboard("libreoffice-writer.txt"),
      "text/rtf": clipboard("libreoffice-writer.rtf"),
    });
    await reads(page, [
      "heading level=1(Harbour report)",
      "paragraph textAlign=center(A centred line in red and [highlight:marked])",
      "paragraph textAlign=right(Lisbon, 5 May)",
      "paragraph(Plain, [bold:bold], [italic:italic], [bold,italic:both], [underline:underlined], [strike:struck], " +
        "H[subscript:2]O, x[superscript:3] and [link href=https://example.com/harbour:a ]" +
        "[link href=https://example.com/harbour,bold:link].)",
      "paragraph(A footnote[superscript:1] and a comment here.)",
      "paragraph(A change: inserted words and the rest.)",
      "paragraph(First linehardBreak()second line after a tab and three spaces)",
      "paragraph()",
      "heading level=2(Lists)",
      "bulletList(listItem(paragraph(North)bulletList(listItem(paragraph(Coast)bulletList(listItem(paragraph(Pier))))))" +
        "listItem(paragraph(South)paragraph(its second paragraph)))",
      "orderedList(listItem(paragraph(Measure)orderedList(listItem(paragraph(depth))listItem(paragraph(width))))" +
        "listItem(paragraph(Dredge)))",
      "heading level=2(Table)",
      "table(tableRow(tableHeader(paragraph([bold:Year]))tableHeader colspan=2(paragraph([bold:Ships])))" +
        "tableRow(tableCell rowspan=2(paragraph(2025))tableCell(paragraph(in))tableCell(paragraph textAlign=right(120)))" +
        "tableRow(tableCell(paragraph(out))tableCell(paragraph textAlign=right(118))))",
      "codeBlock(const tide = 3;)",
      "blockquote(paragraph(A quotation.))",
      "paragraph(A picture:)",
      "image src=data:image/png;base64,iVBORw0KGgoAAAANSU()",
      "paragraph(The last line.)",
      "paragraph(1 The text of the footnote.)",
    ]);
    const picture = editor(page).locator("img");
    await until("the picture is drawn", () => picture.evaluate(({ naturalWidth }) => naturalWidth === 24));
    await says(page, ["The paste left out: 1 comment, 1 colour of text."]);
    await saved(page);
  });

  it("names pictures on the disk of another program if the RTF has not the same pictures", async () => {
    const rtf = clipboard("libreoffice-writer.rtf");
    const picture = '<p><img src="file:///tmp/picture.png"></p>';
    const html = `<p>Two pictures</p>${picture}${picture}<p>The end</p>`;
    const page = await write();
    await give(page, "paste", [], { "text/html": html, "text/rtf": rtf });
    await reads(page, ["paragraph(Two pictures)", "paragraph(The end)"]);
    await says(page, ["The paste left out: 2 pictures that could not be read."]);
  });

  it("names links to places in another document, and keeps the numbers of its notes", async () => {
    const page = await pasted({
      "text/html":
        '<p class="MsoToc1"><a href="#_Toc1">Chapter</a></p><p class="MsoNormal">Text<a href="#_ftn1">[1]</a></p>',
    });
    await reads(page, ["paragraph(Chapter)", "paragraph(Text[1])"]);
    await says(page, ["The paste left out: 1 link to a place in the other document."]);
    const own = await pasted({ "text/html": '<p data-pm-slice="0 0 []"><a href="#top">To the top</a></p>' });
    await reads(own, ["paragraph([link href=#top:To the top])"]);
  });

  it("keeps the HTML that LibreOffice Writer exports, with its picture as data", async () => {
    const page = await pasted({ "text/html": clipboard("libreoffice-export.html") });
    await reads(page, [
      "heading level=1(Minutes)",
      "paragraph textAlign=right(Berlin, [highlight:5 May])",
      "paragraph([bold:Present:] [italic:Ana], [underline:Ben])",
      "bulletList(listItem(paragraph(Budget)bulletList(listItem(paragraph(Travel))))listItem(paragraph(Hiring)))",
      "table(tableRow(tableCell(paragraph(Task))tableCell(paragraph(Who)))" +
        "tableRow(tableCell colspan=2(paragraph(Everything: Ana))))",
      "image src=data:image/png;base64,iVBORw0KGgoAAAANSU()",
      "paragraph()",
    ]);
    await says(page, []);
  });

  it("keeps a document of Google Docs with its task list", async () => {
    const page = await pasted({ "text/html": clipboard("google-docs.html"), "text/plain": "Plan …" });
    await reads(page, [
      "heading level=2(Plan)",
      "paragraph(We [bold:start][italic,highlight: on Monday][underline: at nine])",
      "paragraph()",
      "taskList(taskItem checked=true(paragraph([strike:Book the room]))taskItem checked=false(paragraph(Invite people)))",
      "image src=https://example.com/photo.png()",
      "paragraph()",
    ]);
    await says(page, []);
  });

  for (const [program, name, rows, leftOut = []] of [
    [
      "Excel",
      "excel.html",
      [
        "tableCell colspan=3 align=center(paragraph(Sales))",
        "tableCell(paragraph([bold:Region]))tableCell(paragraph([bold:Sales]))tableCell(paragraph([bold:Note]))",
        "tableCell(paragraph(North))tableCell align=right(paragraph(1,200))" +
          "tableCell(paragraph(see [italic:the plan]))",
        "tableCell(paragraph(South))tableCell align=right(paragraph([strike:80]))" +
          "tableCell(paragraph([link href=https://example.com/south:the south]))",
        "tableCell colspan=2(paragraph([bold:Both regions]))tableCell(paragraph(twohardBreak()lines))",
      ],
      [
        "The paste left out: 1 comment, 1 hidden column, 1 hidden row, 1 border style of cells, 1 font of cells, " +
          "1 font size of cells, 2 colours of text, 2 colours of cells.",
      ],
    ],
    [
      "Google Sheets",
      "google-sheets.html",
      [
        "tableCell(paragraph([bold:Region]))tableCell(paragraph([bold:Sales]))tableCell(paragraph([bold:Note]))",
        "tableCell(paragraph(North))tableCell align=right(paragraph(120))tableCell(paragraph(see [italic:the plan]))",
        "tableCell(paragraph(All))tableCell align=right(paragraph(120))" +
          "tableCell(paragraph([link href=https://example.com/all:all regions]))",
      ],
      [
        "The paste left out: 1 comment, 1 cell formula, 1 border style of cells, 1 font size of cells, " +
          "2 colours of text, 2 colours of cells.",
      ],
    ],
    [
      "LibreOffice Calc",
      "libreoffice-calc.html",
      [
        "tableCell colspan=4 align=center(paragraph([bold:Fees]))",
        "tableCell align=left(paragraph(Day))tableCell align=left(paragraph(Ships))" +
          "tableCell align=left(paragraph(Fee))tableCell align=left(paragraph(Note))",
        "tableCell align=right(paragraph(2026-05-04))tableCell align=right(paragraph(3))" +
          "tableCell align=right(paragraph(1,237.50 €))" +
          "tableCell align=left(paragraph([italic,underline:one line]hardBreak()[italic,underline:and another]))",
        "tableCell align=right(paragraph(2026-05-05))tableCell align=right(paragraph(2))" +
          "tableCell align=right(paragraph(825.00 €))tableCell align=left(paragraph())",
        "tableCell rowspan=2 align=left(paragraph(Both days))tableCell align=right(paragraph(5))" +
          "tableCell align=right(paragraph(2,062.50 €))" +
          "tableCell align=left(paragraph([link href=https://example.com/fees:the rules]))",
        "tableCell align=left(paragraph())tableCell align=left(paragraph())tableCell align=right(paragraph(TRUE))",
      ],
      ["The paste left out: 1 comment, 1 colour of text, 1 colour of cells."],
    ],
  ]) {
    it(`makes a table of cells from ${program}, without the picture of them that is on the clipboard as well`, async () => {
      const page = await write();
      await give(page, "paste", [{ name: "image.png", type: "image/png", base64: "aW1hZ2U=" }], {
        "text/html": clipboard(name),
        "text/plain": "Region\tSales",
      });
      await reads(page, [`table(${rows.map((row) => `tableRow(${row})`).join("")})`, "paragraph()"]);
      await says(page, leftOut);
    });
  }

  it("makes a table of cells that are only there as plain text", async () => {
    const page = await pasted({ "text/plain": clipboard("excel.txt") });
    await reads(page, [
      "table(tableRow(tableCell(paragraph(Region))tableCell(paragraph(Sales))tableCell(paragraph(Note)))" +
        "tableRow(tableCell(paragraph(North))tableCell(paragraph(1,200))tableCell(paragraph()))" +
        "tableRow(tableCell(paragraph(Both regions))tableCell(paragraph())tableCell(paragraph(twohardBreak()lines))))",
      "paragraph()",
    ]);
  });

  it("puts cells that are pasted into a table into its cells", async () => {
    const page = await pasted({ "text/plain": "a\tb\nc\td" });
    await editor(page).locator("td").first().click();
    await until("the caret is in the table", () => editor(page).evaluate((root) => root.editor.isActive("table")));
    await paste(page, { "text/plain": "1\t2\n3\t4" });
    await reads(page, [
      "table(tableRow(tableCell(paragraph(1))tableCell(paragraph(2)))tableRow(tableCell(paragraph(3))tableCell(paragraph(4))))",
      "paragraph()",
    ]);
  });

  it("keeps a part of a web page, and names what a document cannot hold", async () => {
    const page = await pasted({ "text/html": clipboard("web-page.html"), "text/plain": "Harbours …" });
    await reads(page, [
      "heading level=2(Harbours)",
      "paragraph(The [link href=https://example.com/wiki/Port:port] has [code:3] quays" +
        "[link href=https://example.com/wiki/Harbours#cite_n,superscript:[1]].)",
      "image src=https://example.com/harbour.jpg alt=The harbour()",
      "paragraph(The harbour in winter)",
      "paragraph(Ships a year)",
      "table(tableRow(tableHeader(paragraph(Year))tableHeader(paragraph(Ships)))" +
        "tableRow(tableCell rowspan=2(paragraph(2024))tableCell(paragraph(10)))tableRow(tableCell(paragraph(11))))",
      "paragraph([bold:Quay])",
      "paragraph(A place to land.)",
      "taskList(taskItem checked=true(paragraph(Dredge))taskItem checked=false(paragraph(Paint)))",
      "paragraph([bold:Hours])",
      "paragraph(Nine to five)",
      "paragraph(Name Send)",
      "codeBlock language=js(const tide = 3;)",
      "heading level=3(Small print)",
      "paragraph(Last line)",
    ]);
    await says(page, [
      "The paste left out: 1 embedded page, 1 video, 2 form fields, 2 pictures that could not be read.",
    ]);
    await page.getByRole("button", { name: "Close the notice" }).click();
    await says(page, []);
  });

  // Chromium puts styles of the page on the clipboard, Firefox does not.
  for (const [program, bold, italic, centred] of [
    ["chromium", "[bold:ships]", "[italic:moor]", " textAlign=center"],
    ["firefox", "ships", "moor", ""],
  ]) {
    it(`keeps an article that was copied in ${program}`, async () => {
      const page = await pasted({
        "text/html": clipboard(`article-${program}.html`),
        "text/plain": clipboard(`article-${program}.txt`),
      });
      await reads(page, [
        "heading level=1(Harbour)",
        "paragraph(Old Harbour)",
        "table(tableRow(tableCell colspan=2(image src=https://example.com/wiki/harbour.png alt=The harbour()))" +
          "tableRow(tableHeader(paragraph(Depth))tableCell(paragraph(12\u00a0m)))" +
          "tableRow(tableHeader rowspan=2(paragraph(Quays))tableCell(paragraph(North)))" +
          "tableRow(tableCell(paragraph(South))))",
        "paragraph(A [bold:harbour] is a [link href=https://example.com/wiki/Shelter:sheltered] body of water," +
          `[link href=https://example.com/wiki/Harbour#note-1,superscript:[1]] where ${bold} can ${italic}. ` +
          "Water is H[subscript:2]O; [highlight:this is marked], [strike:this is struck], " +
          "[underline:this is underlined], and [code:tide()] is code.)",
        "heading level=2(History)",
        `paragraph${centred}(A centred line.)`,
        "blockquote(paragraph(Any port in a storm.))",
        "bulletList(listItem(paragraph(Natural)bulletList(listItem(paragraph(Bay))listItem(paragraph(Estuary))))" +
          "listItem(paragraph(Built)))",
        "orderedList start=3(listItem(paragraph(Measure))listItem(paragraph(Dredge)))",
        "heading level=3(Tasks)",
        "taskList(taskItem checked=true(paragraph(Survey))taskItem checked=false(paragraph(Paint [bold:buoys])))",
        "codeBlock language=js(const tide = 3;\nif (tide > 2) {\n  sail();\n})",
        "paragraph([bold:Quay])",
        "paragraph(A place to land.)",
        "image src=https://example.com/wiki/harbour.png alt=The quay()",
        "paragraph(The quay in winter)",
        "horizontalRule()",
        "paragraph(First linehardBreak()second line)",
        "heading level=3(References)",
        "orderedList(listItem(paragraph([link href=https://example.com/wiki/Harbour#ref-1:↑] A book, Ports, p. 4.)))",
      ]);
      await says(page, ["The paste left out: 1 drawing, 1 formula."]);
    });
  }

  it("reads Markdown, but not with Ctrl+Shift+V and not in code", async () => {
    const markdown = [
      "# Plan",
      "Some **bold** text and [a link](https://example.com).",
      "- one\n- two\n  1. deep",
      "Tasks:",
      "- [x] done\n- [ ] open",
      "| a | b |\n|---|--:|\n| 1 | 2 |",
      "```js\nlet x = 1;\n```",
      "> said",
    ].join("\n\n");
    const page = await pasted({ "text/plain": markdown });
    await reads(page, [
      "heading level=1(Plan)",
      "paragraph(Some [bold:bold] text and [link href=https://example.com:a link].)",
      "bulletList(listItem(paragraph(one))listItem(paragraph(two)orderedList(listItem(paragraph(deep)))))",
      "paragraph(Tasks:)",
      "taskList(taskItem checked=true(paragraph(done))taskItem checked=false(paragraph(open)))",
      "table(tableRow(tableHeader(paragraph(a))tableHeader align=right(paragraph(b)))" +
        "tableRow(tableCell(paragraph(1))tableCell align=right(paragraph(2))))",
      "codeBlock language=js(let x = 1;)",
      "blockquote(paragraph(said))",
    ]);
    const plain = await write();
    await paste(plain, { "text/plain": "# Plan\n\n- one\n- two" }, "Control+Shift+v");
    await reads(plain, ["paragraph(# Plan)", "paragraph(- one)", "paragraph(- two)"]);
    const code = await write();
    await code.keyboard.type("``` ");
    await paste(code, { "text/plain": "# a\tb\n# c\td" });
    await reads(code, ["codeBlock(# a\tb\n# c\td)"]);
  });

  it("leaves a text as it is that is neither a table nor Markdown", async () => {
    const text =
      "call(*args) # no heading\n\tindented\n\tindented\n2 * 3 * 4, a_b_c and 5. May\n[x] is no link (really)";
    const page = await pasted({ "text/plain": text });
    await reads(
      page,
      text.split("\n").map((line) => `paragraph(${line})`),
    );
  });

  it("keeps a picture from a file, scaled down if it is large, and names files that are none", async () => {
    const page = await write();
    const small = await picture(page, 40, false);
    await give(page, "paste", [{ name: "red dot.png", type: "image/png", base64: small }]);
    await until("the picture is there", async () => (await editor(page).locator("img").count()) === 1);
    assert.equal(await editor(page).locator("img").getAttribute("alt"), "red dot");
    assert.equal(await editor(page).locator("img").getAttribute("src"), `data:image/png;base64,${small}`);
    const large = await picture(page, 1_500, true);
    assert.ok(large.length > 2_000_000, "it is too large to be kept as it is");
    await give(page, "drop", [
      { name: "noise.png", type: "image/png", base64: large },
      { name: "report.pdf", type: "application/pdf", base64: "JVBERg==" },
      { name: "broken.png", type: "image/png", base64: "AAAA" },
    ]);
    await until("the second picture is there", async () => (await editor(page).locator("img").count()) === 2);
    const sources = await editor(page)
      .locator("img")
      .evaluateAll((pictures) => pictures.map(({ src }) => src.length));
    assert.ok(Math.max(...sources) <= 512 * 1024, `${sources}`);
    await until("the rest is named", async () =>
      /left out: 1 file that is not a picture, 1 picture that could not be read/.test((await notice(page))[0]),
    );
    await saved(page);
    const ben = await browser.open(page.url());
    await until("others see both", () =>
      editor(ben)
        .locator("img")
        .evaluateAll((pictures) => pictures.length === 2 && pictures.every((one) => one.naturalWidth > 0)),
    );
  });

  it("inserts the text without formats if a part of it would get lost on the way", async () => {
    const page = await write();
    await editor(page).evaluate((root) => {
      // A fault of the editor: it reads only the first paragraph.
      root.editor.view.setProps({
        transformPasted: (slice) => slice.content.cut && slice.removeBetween(0, 0) && cut(slice),
      });
      const cut = (slice) =>
        Object.assign(Object.create(Object.getPrototypeOf(slice)), slice, { content: slice.content.cut(0, 7) });
    });
    await paste(page, { "text/html": "<p>first</p><p><b>second</b></p>", "text/plain": "first\nsecond" });
    await until("it is said", async () => /added as plain text/.test((await notice(page))[0]));
  });
});

/** A square PNG in base64. With `isNoise` it cannot be compressed. */
function picture(page, side, isNoise) {
  return page.evaluate(
    ([side, isNoise]) => {
      const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
      const context = canvas.getContext("2d");
      const pixels = context.createImageData(side, side);
      for (let at = 0; at < pixels.data.length; at += 4) {
        for (const channel of [0, 1, 2]) pixels.data[at + channel] = isNoise ? Math.random() * 256 : 200;
        pixels.data[at + 3] = 255;
      }
      context.putImageData(pixels, 0, 0);
      return canvas.toDataURL("image/png").split(",")[1];
    },
    [side, isNoise],
  );
}
