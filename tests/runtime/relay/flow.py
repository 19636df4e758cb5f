from corntriton import flow


@flow
def relay(request, c):
    way = request.parameter("way")
    if way == "stream":
        text = c.talk(text=request["text"]).text
        return {"answer": text, "speech": c.speak(text=text.chunks("sentence")).pcm}
    if way == "tally":
        return {"answer": c.tally(text=c.talk(text=request["text"]).text.chunks("tokens:1")).text}
    if way == "fragile":
        return {"answer": c.fragile(text=request["text"]).text}
    if way == "echo":
        return {"answer": request["text"]}
    shouted = c.shout(text=request["text"]).text
    if way == "peek" and shouted:
        return {"answer": shouted}
    if "texts" in request:
        return {
            "answer": c.merge(texts=[shouted, *(c.shout(text=t).text for t in request.each("texts"))]).text
        }
    return {"answer": c.merge(texts=[shouted, "."]).text}
