from corntriton import flow


@flow
def omni(request, c):
    prompt = request.get("text")
    if "audio" in request:
        prompt = c.asr_decoder(states=c.asr_encoder(pcm=request["audio"]).states).text
    captions = [c.vision(image=image).caption for image in request.each("images")]
    answer = c.llm(prompt=prompt, context=captions).text
    if request.wants("speech"):
        return {"answer": answer, "speech": c.tts(text=answer.chunks("sentence")).pcm}
    return {"answer": answer}
