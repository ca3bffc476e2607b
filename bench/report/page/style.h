// SPDX-License-Identifier: Apache-2.0
// The page's style sheet. Colours of series are Okabe and Ito's (2008), which colour-blind readers tell apart, darkened
// or lightened for contrast with the ground; shapes and letters say the same once more. The ramp follows cividis
// (Nuñez, Anderton and Renslow 2018): its lightness rises evenly, so it is also read without colour.
#pragma once

namespace backplane::bench::report::page {

inline constexpr const char* kStyle = R"css(
:root{color-scheme:light dark;--bg:#f7f7f5;--fg:#1a1e23;--muted:#59626c;--line:#dcdfe2;--card:#fff;--grid:#e8eaec;
--bad:#b3261e;--good:#00694c;--warn:#8a5a00;
--s0:#0072b2;--s1:#c84e00;--s2:#00805c;--s3:#a8487f;--s4:#8f6a00;--s5:#2f8fc9;--s6:#5b5f66;--s7:#7a3e1d}
@media (prefers-color-scheme:dark){:root{--bg:#111418;--fg:#e7eaed;--muted:#9ba5af;--line:#2f353c;--card:#191d22;
--grid:#262b31;--bad:#ff8f86;--good:#4fd3a6;--warn:#f0b94a;
--s0:#5ab0ea;--s1:#ff8d4f;--s2:#35c99f;--s3:#e79bc6;--s4:#e6bb45;--s5:#9cc9ff;--s6:#b4bac1;--s7:#d69a72}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;
font-variant-numeric:tabular-nums}
main,header,footer{max-width:1320px;margin:0 auto;padding:0 20px}
header{padding-top:36px}
h1{font-size:clamp(28px,4.5vw,44px);line-height:1.1;letter-spacing:-.02em;margin:0}
.sub{color:var(--muted);margin:8px 0 0}
.sub .legend{margin:14px 0 0}
nav{margin:18px 0 0;display:flex;flex-wrap:wrap;gap:4px 16px;font-size:14px}
a{color:var(--s0)}
.notice{border:2px solid var(--warn);border-radius:8px;padding:8px 14px;margin:18px 0 0;font-weight:600}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:22px 0 0}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.tiles b{display:block;font-size:26px;line-height:1.15;letter-spacing:-.01em}
.tiles span{color:var(--muted);font-size:13px;line-height:1.35;display:block;margin-top:2px}
section{margin:44px 0 0}
h2{font-size:23px;letter-spacing:-.01em;margin:0}
.how{color:var(--muted);max-width:74ch;margin:4px 0 14px}
.note{color:var(--muted);font-size:13px;margin:6px 0 0}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,360px),1fr));gap:14px;align-items:start}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px;min-width:0}
figcaption{font-weight:600;font-size:14px;margin-bottom:6px}
@media (min-width:820px){.wide{grid-column:span 2}}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:4px 12px 10px}
.scroll+.scroll,figure+figure{margin-top:12px}.grid figure+figure{margin-top:0}
figure .scroll{border:0;padding:0;background:none}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font-size:11.5px;fill:var(--muted)}
svg .title{fill:var(--fg)}svg .strong{fill:var(--fg);font-weight:600}
svg .roofname{fill:var(--fg);font-size:10.5px;paint-order:stroke;stroke:var(--card);stroke-width:3px}
.axis{stroke:var(--muted)}svg .grid{stroke:var(--grid)}
.roof{stroke:var(--fg);stroke-width:1.6}
.step{stroke:var(--muted);stroke-width:1;stroke-dasharray:2 2}
.c0{--c:var(--s0)}.c1{--c:var(--s1)}.c2{--c:var(--s2)}.c3{--c:var(--s3)}.c4{--c:var(--s4)}.c5{--c:var(--s5)}.c6{--c:var(--s6)}.c7{--c:var(--s7)}
.mk{fill:var(--c);stroke:var(--c);stroke-width:1.4;stroke-linejoin:round}.mk.o{fill:var(--card)}
.series{fill:none;stroke:var(--c);stroke-width:1.8}
.spread{stroke:var(--c);stroke-width:4;stroke-linecap:round;opacity:.4}
.gain{fill:var(--s0);opacity:.75}.loss{fill:var(--s1);opacity:.85}.whisker{stroke:var(--fg);stroke-width:1.4}
.icon{display:inline-block;width:14px;height:14px;vertical-align:-2px;margin-right:4px;flex:none}
ul.legend,ul.names{list-style:none;margin:0 0 12px;padding:0;display:flex;flex-wrap:wrap;gap:2px 16px;font-size:14px}
ul.names{margin:8px 0 0;font-size:13px;gap:2px 12px}
ul.names b,.win b{color:var(--c)}
table{border-collapse:separate;border-spacing:2px;font-size:14px;width:100%}
th{font-weight:600;text-align:left;white-space:nowrap;padding:4px 8px}
tbody th{font-weight:500}
td{padding:4px 8px;vertical-align:top}
.n{text-align:right;white-space:nowrap}
small{display:block;font-size:12px;line-height:1.3;opacity:.9}
.plain{border-collapse:collapse}.plain td,.plain th{border-bottom:1px solid var(--line)}
.heat{margin-top:8px;table-layout:fixed;min-width:calc(120px + var(--devices)*100px)}
.heat th:first-child{width:clamp(120px,20vw,250px);white-space:normal;overflow-wrap:anywhere}
.heat .op{font-weight:650;padding-top:12px}
.heat td{text-align:center;vertical-align:middle;border-radius:5px;white-space:nowrap}
.heat td b{font-size:17px}.heat td small{white-space:normal}
.heat .best{font-weight:750;outline:2px solid var(--fg);outline-offset:-1px}
.none{color:var(--muted);background:none}
.h0{background:#00224e;color:#fff}.h1{background:#123570;color:#fff}.h2{background:#3b496c;color:#fff}.h3{background:#575d6d;color:#fff}
.h4{background:#707173;color:#fff}.h5{background:#8a8678;color:#000}.h6{background:#a59c74;color:#000}.h7{background:#c3b369;color:#000}
.h8{background:#e1cc55;color:#000}.h9{background:#fee838;color:#000}
.over{color:var(--fg);background:repeating-linear-gradient(135deg,var(--line) 0 3px,var(--card) 3px 9px)}
.ramp{display:flex;flex-wrap:wrap;align-items:center;gap:1px;font-size:13px;color:var(--muted);margin:0 0 10px}
.scroll tbody th,.scroll thead th:first-child{position:sticky;left:0;background:var(--card)}
.ramp span{white-space:nowrap;margin:0 6px 0 0}.ramp i+span{margin-left:6px}.ramp i{width:20px;height:13px}
.wins{width:auto}.wins th{text-align:center;font-size:13px;padding:2px 6px}
.win{text-align:center;border-radius:5px;min-width:70px;background:var(--bg);background:color-mix(in srgb,var(--c) 16%,var(--card));
box-shadow:inset 0 0 0 1.5px var(--c)}
.win b{font-size:16px}.win small{white-space:nowrap}
.support td{background:var(--bg);border-radius:5px;min-width:130px}.support td small{color:var(--muted);margin-bottom:2px}
.right{color:var(--good)}.wrong,.failed,.lost{color:var(--bad)}.refused,.skipped{color:var(--warn)}
td.wrong,td.failed,td.lost,td.refused,td.skipped{font-size:13px}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,280px),1fr));gap:10px 24px;margin:0 0 14px}
.facts div{min-width:0}dt{color:var(--muted);font-size:13px}dd{margin:0;overflow-wrap:anywhere;font-size:15px}
details{margin:0 0 8px}summary{cursor:pointer;padding:6px 0;font-weight:600}
.rows{font-size:12.5px}.rows td{white-space:nowrap;padding:2px 8px}
.rows :is(td,th):nth-child(n+5):nth-child(-n+8){text-align:right}
.rows td:last-child{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.92em}
footer{color:var(--muted);font-size:13px;padding-top:36px;padding-bottom:48px}
@media print{.scroll{overflow:visible}section{break-inside:avoid-page}}
)css";

}  // namespace backplane::bench::report::page
