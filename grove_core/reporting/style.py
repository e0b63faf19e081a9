"""How a report looks: light or dark as the reader's system is, one column on a phone, plain on paper."""

from __future__ import annotations

from typing import Final

DARK: Final = """
--page:#0d0d0d;--surface:#1a1a19;--ink:#fff;--second:#c3c2b7;--muted:#898781;--grid:#2c2c2a;--base:#52514e;
--edge:rgba(255,255,255,.10);--c0:#3987e5;--c1:#d95926;--c2:#199e70;--c3:#9085e9;--c4:#c98500;--c5:#d55181;
--good:#0e3b1d;--good-ink:#6fd58c;--bad:#4a1919;--bad-ink:#f09a98;--unsure:#443406;--unsure-ink:#f3c955;
--running:#14304f;--running-ink:#9cc6f5;--waiting:#2c2c2a;--waiting-ink:#c3c2b7;
"""

STYLE: Final = (
    """
:root{color-scheme:light dark;
--page:#f9f9f7;--surface:#fcfcfb;--ink:#0b0b0b;--second:#52514e;--muted:#75736c;--grid:#e1e0d9;--base:#c3c2b7;
--edge:rgba(11,11,11,.10);--c0:#2a78d6;--c1:#eb6834;--c2:#1baf7a;--c3:#4a3aa7;--c4:#b97a00;--c5:#c9437f;
--good:#d9f2df;--good-ink:#0a5c1f;--bad:#fadddd;--bad-ink:#9c1f1f;--unsure:#fdf0c8;--unsure-ink:#6b4c00;
--running:#dbe9fa;--running-ink:#124a8c;--waiting:#ebeae5;--waiting-ink:#52514e;}
@media screen and (prefers-color-scheme:dark){:root{"""
    + DARK
    + """}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1180px;margin:0 auto;padding:24px 20px 48px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;font-weight:650;overflow-wrap:anywhere}
h2{font-size:18px;margin:36px 0 10px;font-weight:650}
h3{font-size:14px;margin:0;font-weight:600}
p{margin:0 0 8px}
small{display:block;color:var(--second);font-size:12px;line-height:1.4}
a{color:inherit}
.lead{font-size:17px;max-width:75ch;overflow-wrap:anywhere}
.lead+p,.note{color:var(--second);max-width:85ch;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:1px;margin:18px 0 0;border-radius:8px;
background:var(--surface);border:1px solid var(--edge);overflow:hidden}
dl div{padding:10px 14px;box-shadow:0 0 0 1px var(--grid)}
dt{color:var(--second);font-size:12px}
dd{margin:0;font-weight:600;overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:14px}
.whole{grid-column:1/-1}
figure{margin:0;background:var(--surface);border:1px solid var(--edge);border-radius:8px;padding:12px 16px 10px;
min-width:0;break-inside:avoid}
figcaption p{color:var(--second);font-size:12px;margin:0}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;margin:4px 0 0;padding:0;list-style:none;font-size:12px;
color:var(--second)}
.legend i{display:inline-block;width:16px;height:0;border-top-width:2px;
border-top-style:solid;vertical-align:middle;margin-right:6px}
.legend i.dashed{border-top-style:dashed}
.plot{position:relative;height:170px;margin:26px 8px 24px 52px;font-size:11px;font-variant-numeric:tabular-nums}
.plot svg{position:absolute;inset:0;width:100%;height:100%;overflow:visible}
.plot path{fill:none;vector-effect:non-scaling-stroke}
.grid{stroke:var(--grid)}.base{stroke:var(--base)}
.mark{stroke:var(--muted);stroke-dasharray:2 3}
.line{stroke-width:2;stroke-linejoin:round}
.dense{stroke-width:1}
.dot{stroke-width:6;stroke-linecap:round}
.dashed.line{stroke-dasharray:6 4}.dashed.dense{stroke-dasharray:none;opacity:.55}
.here{fill:transparent}.here:hover{fill:var(--grid);fill-opacity:.5}
"""
    + "".join(f".c{place}{{stroke:var(--c{place});border-color:var(--c{place})}}\n" for place in range(6))
    + """
.bound{stroke:var(--second);border-color:var(--second)}
.tick{position:absolute;color:var(--muted);white-space:nowrap;line-height:1}
.tick.y{right:100%;margin-right:7px;transform:translateY(50%)}
.tick.x{top:100%;margin-top:7px;transform:translateX(-50%)}
.tick.x.first{transform:translateX(-30%)}.tick.x.last{transform:translateX(-80%)}
.label{position:absolute;bottom:100%;margin-bottom:4px;white-space:nowrap;text-decoration:none;color:var(--second);
transform:translateX(-8px);line-height:16px}
.label b{display:inline-block;min-width:16px;padding:0 4px;border-radius:8px;background:var(--grid);color:var(--ink);
text-align:center;font-weight:600}
.label span{margin-left:4px}
.lanes{height:auto;margin-left:86px}
.lane{position:relative;height:26px;margin-bottom:4px}
.name{position:absolute;right:100%;margin-right:8px;width:74px;line-height:26px;font-size:12px;color:var(--second);
text-align:right;overflow:hidden;text-overflow:ellipsis}
.block{position:absolute;top:0;bottom:0;padding:0 6px;line-height:26px;overflow:hidden;white-space:nowrap;
text-overflow:ellipsis;border-right:2px solid var(--surface);border-radius:3px;min-width:4px}
.chip{display:inline-block;padding:0 8px;border-radius:9px;font-size:12px;line-height:18px;font-weight:600;
background:var(--waiting);color:var(--waiting-ink)}
.good{background:var(--good);color:var(--good-ink)}.bad{background:var(--bad);color:var(--bad-ink)}
.unsure{background:var(--unsure);color:var(--unsure-ink)}.running{background:var(--running);color:var(--running-ink)}
.waiting{background:var(--waiting);color:var(--waiting-ink)}
.scrolled{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:7px 14px 7px 0;border-top:1px solid var(--grid)}
thead th{border-top:0;color:var(--second);font-weight:500;font-size:12px}
tbody th{font-weight:500}
td{overflow-wrap:anywhere}
td.time,td.number{white-space:nowrap}
tr:target{background:var(--grid)}
details{margin-top:4px}
details .scrolled{contain:inline-size}
summary{cursor:pointer}
summary small{display:inline}
details .figures{font-size:12px;margin:4px 0 8px;width:auto}
details .figures td,details .figures th{padding:3px 14px 3px 0;white-space:nowrap}
.figures td{min-width:7em}
details .figures td{min-width:0}
table.decisions td:nth-child(3){min-width:120px}
table.stories td:nth-child(-n+6),table.events td:nth-child(-n+2){white-space:nowrap}
footer{margin-top:40px;color:var(--muted);font-size:12px;overflow-wrap:anywhere}
@media screen and (max-width:760px){
main{padding:16px 12px 32px}h1{font-size:21px}.lead{font-size:16px}
.charts{grid-template-columns:minmax(0,1fr)}
figure{padding:10px 10px 6px}.label span,.spare{display:none}
dl{grid-template-columns:repeat(2,minmax(0,1fr))}
.lanes{margin-left:66px}.name{width:58px;font-size:11px}
.decisions>thead,.events>thead,.stories>thead{display:none}
.decisions>tbody>tr,.events>tbody>tr,.stories>tbody>tr{display:block;border-top:1px solid var(--grid);padding:8px 0}
.decisions>tbody>tr>td,.events>tbody>tr>td,.stories>tbody>tr>td{display:block;border:0;padding:1px 0}
.decisions>tbody>tr>td:nth-child(-n+2),.events>tbody>tr>td:nth-child(n+2):nth-child(-n+3),
.stories>tbody>tr>td:nth-child(-n+6){display:inline-block;margin-right:10px}
}
@media print{
body{background:#fff;font-size:11px}main{max-width:none;padding:0}
.chip,.block,.label b,.legend i{print-color-adjust:exact;-webkit-print-color-adjust:exact}
tr,figure{break-inside:avoid}h2,h3{break-after:avoid}.plot{height:110px}.lanes{height:auto}
.charts{gap:8px}figure{padding:8px 10px 4px}.plot:not(.lanes) .label span{display:none}
table{font-size:10px}small,figcaption p,.legend{font-size:10px}th,td{padding:4px 10px 4px 0}
details:not(.before)::details-content{content-visibility:visible;display:block}
a{text-decoration:none}
}
"""
)
